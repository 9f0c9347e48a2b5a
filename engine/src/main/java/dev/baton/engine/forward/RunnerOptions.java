package dev.baton.engine.forward;

import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.model.DType;

/**
 * Sizes of one rank.
 *
 * @param contextTokens positions of a table row: longest prompt plus answer
 * @param maxRows rows of the tables: most sequences alive at once
 * @param maxStepTokens most tokens of a step
 * @param logitRows rows of logits computed at once
 * @param cacheType F32 or BF16
 * @param maxTotalTokens KV slots; 0 takes as many as {@code memoryFraction} leaves, at most maxRows whole contexts
 * @param memoryFraction share of the device's memory for weights, buffers and cache
 * @param ropePrecision of the rotary frequencies
 * @param alwaysAbsorbed latent attention never expands keys and values (for tests of its two forms)
 * @param kvMemory where the KV cache lies
 * @param synchronousStages pipeline stages wait for every message they send and receive
 * @param dispatch how tokens travel to their experts
 */
public record RunnerOptions(
        int contextTokens,
        int maxRows,
        int maxStepTokens,
        int logitRows,
        DType cacheType,
        int maxTotalTokens,
        double memoryFraction,
        RopePrecision ropePrecision,
        boolean alwaysAbsorbed,
        KvMemory kvMemory,
        boolean synchronousStages,
        DispatchOptions dispatch) {
    /** Rows of logits at once: enough to make the output projection compute-bound. */
    public static final int DEFAULT_LOGIT_ROWS = 64;
}
