package dev.baton.app;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.flag.ServerArgs;
import java.util.Locale;

/** The one place where launch flags become a {@link ParallelShape}. */
final class ParallelFlags {
    /** SGLang's: tokens that a rank may send in one low latency dispatch. */
    static final String MAX_TOKENS = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK";

    private ParallelFlags() {}

    /**
     * @throws dev.baton.engine.EngineException CONFIGURATION when the sizes do not go together
     * @throws ProtocolException INVALID_FLAG when a flag has a value that there is not
     */
    static ParallelShape shape(ServerArgs args) {
        int tensor = args.integer("tp-size");
        AllToAll allToAll = allToAll(args);
        boolean chosen = args.isGiven("ep-size") && args.integer("ep-size") > 1;
        Integer dense = args.integerOrNull("moe-dense-tp-size");
        if (dense != null && dense != 1) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    "argument --moe-dense-tp-size: 1 makes dense layers whole on every rank, leaving it out splits them"
                            + " over all; got " + dense);
        }
        int data = args.integer("dp-size");
        return new ParallelShape(
                tensor,
                data,
                // As in SGLang, one group is no data parallel attention.
                args.on("enable-dp-attention") && data > 1,
                allToAll == AllToAll.NONE || chosen ? args.integer("ep-size") : tensor,
                args.integer("pp-size"),
                dense != null,
                args.on("enable-dp-lm-head"),
                allToAll,
                args.integer("nnodes"));
    }

    /** How tokens travel to their experts. */
    static DispatchOptions dispatch(ServerArgs args) {
        WireFormat format = switch (args.text("moe-dispatch-dtype")) {
            case "bfloat16" -> WireFormat.BF16;
            case "fp8" -> WireFormat.FP8;
            default -> WireFormat.F32;
        };
        return new DispatchOptions(
                format, maxTokensPerRank(), overlap(args), args.decimal("tbo-token-distribution-threshold"));
    }

    private static Overlap overlap(ServerArgs args) {
        Overlap overlap = args.on("enable-two-batch-overlap")
                ? Overlap.TWO_BATCH
                : args.on("enable-single-batch-overlap") ? Overlap.SINGLE_BATCH : Overlap.NONE;
        if (overlap != Overlap.NONE && allToAll(args) == AllToAll.NONE) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    (overlap == Overlap.TWO_BATCH ? "--enable-two-batch-overlap" : "--enable-single-batch-overlap")
                            + " computes while tokens travel to their experts, and without --moe-a2a-backend deepep"
                            + " nothing travels; add that or leave this one out");
        }
        return overlap;
    }

    private static int maxTokensPerRank() {
        String value = System.getenv(MAX_TOKENS);
        if (value == null) {
            return DispatchOptions.DEFAULT.maxTokensPerRank();
        }
        try {
            return Integer.parseInt(value.strip());
        } catch (NumberFormatException e) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    MAX_TOKENS + " must be a whole number from 1 to 1024, got '" + value + "'");
        }
    }

    private static AllToAll allToAll(ServerArgs args) {
        if (args.text("moe-a2a-backend").equals("none") && !args.on("enable-deepep-moe")) {
            return AllToAll.NONE;
        }
        return AllToAll.valueOf(args.text("deepep-mode").toUpperCase(Locale.ROOT));
    }
}
