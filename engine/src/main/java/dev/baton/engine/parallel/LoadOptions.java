package dev.baton.engine.parallel;

import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.forward.KvMemory;
import dev.baton.model.DType;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How a model is started.
 *
 * @param format where the weights come from
 * @param seed of dummy weights
 * @param shape of the whole server
 * @param experts how experts are placed, balanced and recorded
 * @param cacheType F32 or BF16
 * @param contextTokens longest prompt plus answer; 0 takes the model's
 * @param maxRunningRequests rows of the tables: most sequences alive at once
 * @param maxStepTokens most tokens of a step (chunked prefill size or running requests, whichever is more)
 * @param maxTotalTokens KV slots; 0 takes what {@code memoryFraction} leaves, at most what the rows can use
 * @param memoryFraction share of the device's memory for weights, buffers and cache, in (0, 1]
 * @param logitRows rows of logits computed at once
 * @param ropePrecision of the rotary frequencies; null: F32, but as the recording in a folder with stored outputs
 *     ({@code golden.json})
 * @param collectiveDeadline how long a rank waits for the others
 * @param alwaysAbsorbed latent attention never expands keys and values (for tests of its two forms)
 * @param threadPrefix of the ranks' names
 * @param kvMemory where the KV cache lies
 * @param pipeline how its stages work together
 * @param dispatch how tokens travel to their experts
 */
public record LoadOptions(
        Format format,
        long seed,
        ParallelShape shape,
        BalanceOptions experts,
        DType cacheType,
        int contextTokens,
        int maxRunningRequests,
        int maxStepTokens,
        int maxTotalTokens,
        double memoryFraction,
        int logitRows,
        @Nullable RopePrecision ropePrecision,
        Duration collectiveDeadline,
        boolean alwaysAbsorbed,
        String threadPrefix,
        KvMemory kvMemory,
        PipelineOptions pipeline,
        DispatchOptions dispatch) {
    /** Where weights come from. */
    public enum Format {
        /** The folder's safetensors files. */
        SAFETENSORS,
        /** Random numbers of the shapes that config.json implies. */
        DUMMY
    }

    /** One rank, F32 cache, the model's context, 48 sequences, 2,048 tokens a step, half of the memory. */
    public static final LoadOptions DEFAULT = new LoadOptions(
            Format.SAFETENSORS,
            1,
            ParallelShape.SINGLE,
            BalanceOptions.NONE,
            DType.F32,
            0,
            48,
            2048,
            0,
            0.5,
            64,
            null,
            Duration.ofSeconds(60),
            false,
            "rank",
            KvMemory.DEVICE,
            PipelineOptions.DEFAULT,
            DispatchOptions.DEFAULT);

    /** A copy to change, field by field. */
    public Builder with() {
        return new Builder(this);
    }

    /** Builds {@link LoadOptions} from a copy. */
    public static final class Builder {
        private Format format;
        private long seed;
        private ParallelShape shape;
        private BalanceOptions experts;
        private DType cacheType;
        private int contextTokens;
        private int maxRunningRequests;
        private int maxStepTokens;
        private int maxTotalTokens;
        private double memoryFraction;
        private int logitRows;
        private @Nullable RopePrecision ropePrecision;
        private Duration collectiveDeadline;
        private boolean alwaysAbsorbed;
        private String threadPrefix;
        private KvMemory kvMemory;
        private PipelineOptions pipeline;
        private DispatchOptions dispatch;

        private Builder(LoadOptions from) {
            format = from.format;
            seed = from.seed;
            shape = from.shape;
            experts = from.experts;
            cacheType = from.cacheType;
            contextTokens = from.contextTokens;
            maxRunningRequests = from.maxRunningRequests;
            maxStepTokens = from.maxStepTokens;
            maxTotalTokens = from.maxTotalTokens;
            memoryFraction = from.memoryFraction;
            logitRows = from.logitRows;
            ropePrecision = from.ropePrecision;
            collectiveDeadline = from.collectiveDeadline;
            alwaysAbsorbed = from.alwaysAbsorbed;
            threadPrefix = from.threadPrefix;
            kvMemory = from.kvMemory;
            pipeline = from.pipeline;
            dispatch = from.dispatch;
        }

        public Builder format(Format value) {
            format = value;
            return this;
        }

        public Builder seed(long value) {
            seed = value;
            return this;
        }

        public Builder shape(ParallelShape value) {
            shape = value;
            return this;
        }

        public Builder experts(BalanceOptions value) {
            experts = value;
            return this;
        }

        /** Plain tensor parallelism. */
        public Builder tensorParallel(int ranks) {
            return shape(ParallelShape.tensorParallel(ranks));
        }

        public Builder cacheType(DType value) {
            cacheType = value;
            return this;
        }

        public Builder contextTokens(int value) {
            contextTokens = value;
            return this;
        }

        public Builder maxRunningRequests(int value) {
            maxRunningRequests = value;
            return this;
        }

        public Builder maxStepTokens(int value) {
            maxStepTokens = value;
            return this;
        }

        public Builder maxTotalTokens(int value) {
            maxTotalTokens = value;
            return this;
        }

        public Builder memoryFraction(double value) {
            memoryFraction = value;
            return this;
        }

        public Builder logitRows(int value) {
            logitRows = value;
            return this;
        }

        public Builder ropePrecision(@Nullable RopePrecision value) {
            ropePrecision = value;
            return this;
        }

        public Builder collectiveDeadline(Duration value) {
            collectiveDeadline = value;
            return this;
        }

        public Builder alwaysAbsorbed(boolean value) {
            alwaysAbsorbed = value;
            return this;
        }

        public Builder threadPrefix(String value) {
            threadPrefix = value;
            return this;
        }

        public Builder kvMemory(KvMemory value) {
            kvMemory = value;
            return this;
        }

        public Builder pipeline(PipelineOptions value) {
            pipeline = value;
            return this;
        }

        public Builder dispatch(DispatchOptions value) {
            dispatch = value;
            return this;
        }

        public LoadOptions build() {
            return new LoadOptions(
                    format,
                    seed,
                    shape,
                    experts,
                    cacheType,
                    contextTokens,
                    maxRunningRequests,
                    maxStepTokens,
                    maxTotalTokens,
                    memoryFraction,
                    logitRows,
                    ropePrecision,
                    collectiveDeadline,
                    alwaysAbsorbed,
                    threadPrefix,
                    kvMemory,
                    pipeline,
                    dispatch);
        }
    }
}
