package dev.baton.tensor;

import org.jspecify.annotations.Nullable;

/**
 * How a mixture-of-experts gate chooses.
 *
 * @param scoring how logits become scores
 * @param correctionBias F32 [experts], added for choosing only (DeepSeek-V3 noaux_tc); null when there is none
 * @param groups expert groups (1 when not grouped)
 * @param keptGroups groups that stay eligible
 * @param groupScore sum of the two best choices of a group (V3) or its best (V2)
 * @param topK experts of a token
 * @param renormalize weights are divided by their sum
 * @param scale routed scaling factor, applied last
 */
public record GateSpec(
        Scoring scoring,
        @Nullable Tensor correctionBias,
        int groups,
        int keptGroups,
        GroupScore groupScore,
        int topK,
        boolean renormalize,
        float scale) {
    /** Score function. */
    public enum Scoring {
        SIGMOID,
        SOFTMAX
    }

    /** A group's score. */
    public enum GroupScore {
        TOP_TWO_SUM,
        MAX
    }
}
