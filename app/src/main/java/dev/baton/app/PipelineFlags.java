package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.protocol.flag.ServerArgs;
import java.util.List;

/** What the flags say about pipeline stages, beside their number. */
final class PipelineFlags {
    /** SGLang's: layers of each stage, with commas. */
    static final String PARTITION = "SGLANG_PP_LAYER_PARTITION";

    private PipelineFlags() {}

    /**
     * Refuses what says nothing without a pipeline, and what is no number of batches.
     *
     * @throws EngineException CONFIGURATION naming the flags
     */
    static void requireSound(ServerArgs args, ParallelShape shape) {
        int stages = shape.pipelineParallel();
        int depth = args.integer("pp-async-batch-depth");
        if (depth < 0) {
            throw invalid("--pp-async-batch-depth must be at least 0, got " + depth);
        }
        if (stages == 1) {
            for (String flag : List.of("pp-max-micro-batch-size", "pp-async-batch-depth", "pp-synchronous")) {
                if (args.isGiven(flag)) {
                    throw invalid("--" + flag + " is about pipeline stages, and --pp-size is 1; leave it out or raise"
                            + " --pp-size");
                }
            }
        }
    }

    /** Batches that travel at once: one a stage, and those beyond. 1 without a pipeline. */
    static int microBatches(ServerArgs args) {
        int stages = args.integer("pp-size");
        return stages == 1 ? 1 : stages + args.integer("pp-async-batch-depth");
    }

    /** How stages work together. */
    static PipelineOptions options(ServerArgs args) {
        String partition = System.getenv(PARTITION);
        return new PipelineOptions(
                partition == null || args.integer("pp-size") == 1 ? List.of() : PipelineOptions.stageLayers(partition),
                Math.max(PipelineOptions.DEFAULT.messages(), microBatches(args)),
                args.on("pp-synchronous"));
    }

    /** The scheduler's part. */
    static SchedulerConfig.Builder schedule(ServerArgs args, SchedulerConfig.Builder builder) {
        return builder.microBatches(microBatches(args))
                .maxMicroBatchRequests(args.integerOrNull("pp-max-micro-batch-size"));
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
