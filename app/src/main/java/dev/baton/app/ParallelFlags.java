package dev.baton.app;

import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.ParallelShape.AllToAll;
import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.flag.ServerArgs;
import java.util.Locale;

/** The one place where launch flags become a {@link ParallelShape}. */
final class ParallelFlags {
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

    private static AllToAll allToAll(ServerArgs args) {
        if (args.text("moe-a2a-backend").equals("none") && !args.on("enable-deepep-moe")) {
            return AllToAll.NONE;
        }
        return AllToAll.valueOf(args.text("deepep-mode").toUpperCase(Locale.ROOT));
    }
}
