package dev.baton.model.config;

import java.util.Set;

/**
 * The mixture-of-experts layers of a model.
 *
 * @param experts routed experts of a layer
 * @param sharedExperts experts that every token passes; their intermediate sizes are fused into one MLP
 * @param topK routed experts of a token
 * @param groups groups of consecutive experts (1 when not grouped)
 * @param keptGroups groups that stay eligible for a token
 * @param groupScore what ranks the groups
 * @param correctionBias the layer has {@code mlp.gate.e_score_correction_bias}, added for choosing only
 * @param intermediateSize of one expert
 * @param denseLayers layers that have a plain MLP instead
 * @param normalizeTopK the chosen weights are divided by their sum
 * @param routedScale factor of the routed experts' sum
 */
public record MoeConfig(
        int experts,
        int sharedExperts,
        int topK,
        int groups,
        int keptGroups,
        GroupScore groupScore,
        boolean correctionBias,
        int intermediateSize,
        Set<Integer> denseLayers,
        Scoring scoring,
        boolean normalizeTopK,
        double routedScale) {
    /** How logits become scores. */
    public enum Scoring {
        SIGMOID,
        SOFTMAX
    }

    /** A group's score: the sum of its two best choices (V3) or its best (V2). */
    public enum GroupScore {
        TOP_TWO_SUM,
        MAX
    }

    public MoeConfig {
        denseLayers = Set.copyOf(denseLayers);
    }

    /** Whether {@code layer} has experts. */
    public boolean sparse(int layer) {
        return !denseLayers.contains(layer);
    }

    /** Intermediate size of the fused shared experts, 0 when there are none. */
    public int sharedIntermediateSize() {
        return sharedExperts * intermediateSize;
    }
}
