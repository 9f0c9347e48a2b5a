package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.balance.DispatchAlgorithm;
import dev.baton.engine.balance.RecorderMode;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.trace.TraceException;
import dev.baton.trace.expert.EplbAlgorithm;
import dev.baton.trace.expert.ExpertFile;
import dev.baton.trace.expert.InitialLocation;
import org.jspecify.annotations.Nullable;

/** The one place where launch flags become {@link BalanceOptions}. */
final class ExpertFlags {
    private ExpertFlags() {}

    /** @throws EngineException CONFIGURATION naming the flag or file and the remedy */
    static BalanceOptions options(ServerArgs args) {
        String dispatch = args.textOrNull("ep-dispatch-algorithm");
        String recorder = args.textOrNull("expert-distribution-recorder-mode");
        int iterations = args.integer("eplb-rebalance-num-iterations");
        Integer chunk = args.integerOrNull("eplb-rebalance-layers-per-chunk");
        if (chunk != null && chunk < 1) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--eplb-rebalance-layers-per-chunk must be at least 1, got " + chunk
                            + "; leave it out to move all layers at once");
        }
        return new BalanceOptions(
                location(args.text("init-expert-location")),
                args.integer("ep-num-redundant-experts"),
                dispatch == null ? null : DispatchAlgorithm.of(dispatch),
                EplbAlgorithm.of(args.text("eplb-algorithm")),
                args.on("enable-eplb"),
                iterations,
                chunk == null ? 0 : chunk,
                args.decimal("eplb-min-rebalancing-utilization-threshold"),
                recorder == null ? null : RecorderMode.of(recorder),
                orDefault(args.integerOrNull("expert-distribution-recorder-buffer-size"), iterations),
                args.on("enable-expert-distribution-metrics"));
    }

    private static int orDefault(@Nullable Integer value, int standard) {
        return value == null ? standard : value;
    }

    private static InitialLocation location(String text) {
        try {
            return ExpertFile.location(text);
        } catch (TraceException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "--init-expert-location: " + e.getMessage(), e);
        }
    }
}
