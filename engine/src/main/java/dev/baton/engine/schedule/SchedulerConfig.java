package dev.baton.engine.schedule;

import dev.baton.engine.EngineException;
import org.jspecify.annotations.Nullable;

/**
 * How one DP rank schedules, with SGLang's defaults. Numbers are for one rank: whoever divides a server's limits among
 * ranks does so before.
 *
 * @param maxRunningRequests {@code --max-running-requests}; null takes
 *     {@code min(max(pool / context * 512, 2048), 4096)}
 * @param maxTotalTokens {@code --max-total-tokens}, KV pool; null takes all that the executor has
 * @param chunkedPrefillTokens {@code --chunked-prefill-size}, most prompt tokens in one step; -1 never cuts a prompt
 * @param maxPrefillTokens {@code --max-prefill-tokens}, most prompt tokens in one step unless one prompt is longer
 * @param pageTokens {@code --page-size}
 * @param policy {@code --schedule-policy}
 * @param conservativeness {@code --schedule-conservativeness}, scales the admission estimate
 * @param radixCache false for {@code --disable-radix-cache}
 * @param overlap false for {@code --disable-overlap-schedule}
 * @param decodeLogInterval {@code --decode-log-interval}, decode steps between two log lines
 * @param reservedDecodeTokens {@code --num-reserved-decode-tokens}, KV kept for each request of a decode server
 * @param maxQueuedRequests {@code --max-queued-requests}; SGLang has no limit, Baton's is 10,000
 * @param streamInterval {@code --stream-interval}, tokens between two outputs of a request
 * @param watchdogSeconds {@code --watchdog-timeout}: a step that takes longer ends the rank
 * @param microBatches batches that travel through the stages of a pipeline at once ({@code --pp-size} +
 *     {@code --pp-async-batch-depth}); 1 without a pipeline
 * @param maxMicroBatchRequests {@code --pp-max-micro-batch-size}, most requests of one decode step of a pipeline; null
 *     divides the running requests evenly
 */
public record SchedulerConfig(
        @Nullable Integer maxRunningRequests,
        @Nullable Integer maxTotalTokens,
        int chunkedPrefillTokens,
        int maxPrefillTokens,
        int pageTokens,
        SchedulePolicy policy,
        double conservativeness,
        boolean radixCache,
        boolean overlap,
        int decodeLogInterval,
        int reservedDecodeTokens,
        int maxQueuedRequests,
        int streamInterval,
        double watchdogSeconds,
        int microBatches,
        @Nullable Integer maxMicroBatchRequests) {

    /** SGLang's defaults for a device of unknown memory. */
    public static final SchedulerConfig DEFAULT = new SchedulerConfig(
            null, null, 4096, 16_384, 1, SchedulePolicy.FCFS, 1.0, true, true, 40, 512, 10_000, 1, 300, 1, null);

    public SchedulerConfig {
        require(maxRunningRequests == null || maxRunningRequests >= 1, "--max-running-requests", maxRunningRequests, 1);
        require(maxTotalTokens == null || maxTotalTokens >= 1, "--max-total-tokens", maxTotalTokens, 1);
        require(pageTokens >= 1, "--page-size", pageTokens, 1);
        require(maxPrefillTokens >= 1, "--max-prefill-tokens", maxPrefillTokens, 1);
        require(decodeLogInterval >= 1, "--decode-log-interval", decodeLogInterval, 1);
        require(reservedDecodeTokens >= 0, "--num-reserved-decode-tokens", reservedDecodeTokens, 0);
        require(maxQueuedRequests >= 1, "--max-queued-requests", maxQueuedRequests, 1);
        require(streamInterval >= 1, "--stream-interval", streamInterval, 1);
        require(conservativeness >= 0, "--schedule-conservativeness", conservativeness, 0);
        require(microBatches >= 1, "batches in flight (--pp-size + --pp-async-batch-depth)", microBatches, 1);
        require(
                maxMicroBatchRequests == null || maxMicroBatchRequests >= 1,
                "--pp-max-micro-batch-size",
                maxMicroBatchRequests,
                1);
        require(watchdogSeconds > 0, "--watchdog-timeout", watchdogSeconds, "more than 0");
        if (chunkedPrefillTokens != -1 && (chunkedPrefillTokens < 1 || chunkedPrefillTokens % pageTokens != 0)) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--chunked-prefill-size must be -1 or a positive multiple of --page-size " + pageTokens + ", got "
                            + chunkedPrefillTokens);
        }
    }

    /** Requests that run at once: as configured, or from the pool; never more than there are rows. */
    public int runningLimit(int poolTokens, int contextTokens, int rows) {
        int limit = maxRunningRequests != null
                ? maxRunningRequests
                : (int) Math.min(Math.max(poolTokens * 512L / Math.max(1, contextTokens), 2048), 4096);
        return Math.min(limit, rows);
    }

    /**
     * Steps that may be under way at once. In a pipeline each micro-batch is one of them, and its next step is planned when
     * its tokens are known; otherwise the next step is planned from the one that runs.
     */
    int stepsInFlight() {
        if (microBatches > 1) {
            return microBatches;
        }
        return overlap ? 2 : 1;
    }

    /** A copy to change. */
    public Builder toBuilder() {
        return new Builder(this);
    }

    private static void require(boolean holds, String flag, @Nullable Object value, Object least) {
        if (!holds) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, flag + " must be at least " + least + ", got " + value);
        }
    }

    /** Sets fields one by one; {@link #build} validates. */
    public static final class Builder {
        private @Nullable Integer maxRunningRequests;
        private @Nullable Integer maxTotalTokens;
        private int chunkedPrefillTokens;
        private int maxPrefillTokens;
        private int pageTokens;
        private SchedulePolicy policy;
        private double conservativeness;
        private boolean radixCache;
        private boolean overlap;
        private int decodeLogInterval;
        private int reservedDecodeTokens;
        private int maxQueuedRequests;
        private int streamInterval;
        private double watchdogSeconds;
        private int microBatches;
        private @Nullable Integer maxMicroBatchRequests;

        private Builder(SchedulerConfig from) {
            maxRunningRequests = from.maxRunningRequests;
            maxTotalTokens = from.maxTotalTokens;
            chunkedPrefillTokens = from.chunkedPrefillTokens;
            maxPrefillTokens = from.maxPrefillTokens;
            pageTokens = from.pageTokens;
            policy = from.policy;
            conservativeness = from.conservativeness;
            radixCache = from.radixCache;
            overlap = from.overlap;
            decodeLogInterval = from.decodeLogInterval;
            reservedDecodeTokens = from.reservedDecodeTokens;
            maxQueuedRequests = from.maxQueuedRequests;
            streamInterval = from.streamInterval;
            watchdogSeconds = from.watchdogSeconds;
            microBatches = from.microBatches;
            maxMicroBatchRequests = from.maxMicroBatchRequests;
        }

        public Builder maxRunningRequests(@Nullable Integer value) {
            maxRunningRequests = value;
            return this;
        }

        public Builder maxTotalTokens(@Nullable Integer value) {
            maxTotalTokens = value;
            return this;
        }

        public Builder chunkedPrefillTokens(int value) {
            chunkedPrefillTokens = value;
            return this;
        }

        public Builder maxPrefillTokens(int value) {
            maxPrefillTokens = value;
            return this;
        }

        public Builder pageTokens(int value) {
            pageTokens = value;
            return this;
        }

        public Builder policy(SchedulePolicy value) {
            policy = value;
            return this;
        }

        public Builder conservativeness(double value) {
            conservativeness = value;
            return this;
        }

        public Builder radixCache(boolean value) {
            radixCache = value;
            return this;
        }

        public Builder overlap(boolean value) {
            overlap = value;
            return this;
        }

        public Builder decodeLogInterval(int value) {
            decodeLogInterval = value;
            return this;
        }

        public Builder reservedDecodeTokens(int value) {
            reservedDecodeTokens = value;
            return this;
        }

        public Builder maxQueuedRequests(int value) {
            maxQueuedRequests = value;
            return this;
        }

        public Builder streamInterval(int value) {
            streamInterval = value;
            return this;
        }

        public Builder watchdogSeconds(double value) {
            watchdogSeconds = value;
            return this;
        }

        public Builder microBatches(int value) {
            microBatches = value;
            return this;
        }

        public Builder maxMicroBatchRequests(@Nullable Integer value) {
            maxMicroBatchRequests = value;
            return this;
        }

        /** @throws EngineException CONFIGURATION naming the flag, its value and what it may be */
        public SchedulerConfig build() {
            return new SchedulerConfig(
                    maxRunningRequests,
                    maxTotalTokens,
                    chunkedPrefillTokens,
                    maxPrefillTokens,
                    pageTokens,
                    policy,
                    conservativeness,
                    radixCache,
                    overlap,
                    decodeLogInterval,
                    reservedDecodeTokens,
                    maxQueuedRequests,
                    streamInterval,
                    watchdogSeconds,
                    microBatches,
                    maxMicroBatchRequests);
        }
    }
}
