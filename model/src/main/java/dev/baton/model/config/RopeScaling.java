package dev.baton.model.config;

import org.jspecify.annotations.Nullable;

/** How rotary frequencies are stretched beyond the trained context. */
public sealed interface RopeScaling {
    /** Plain rotary embedding. */
    record None() implements RopeScaling {}

    /**
     * Llama 3.1: long wavelengths are divided by {@code factor}, short ones kept, those between interpolated.
     *
     * @param originalMaxPositions context of the pre-training
     */
    record Llama3(double factor, double lowFrequencyFactor, double highFrequencyFactor, int originalMaxPositions)
            implements RopeScaling {}

    /**
     * YaRN (Peng et al. 2023).
     *
     * @param originalMaxPositions context of the pre-training
     * @param mscale DeepSeek's magnitude of cos and sin; null when absent
     * @param mscaleAllDim DeepSeek's magnitude of the attention scale; null when absent
     * @param attentionFactor an explicit magnitude of cos and sin; null when absent
     * @param truncate correction dimensions are rounded to whole ones
     */
    record Yarn(
            double factor,
            int originalMaxPositions,
            double betaFast,
            double betaSlow,
            @Nullable Double mscale,
            @Nullable Double mscaleAllDim,
            @Nullable Double attentionFactor,
            boolean truncate)
            implements RopeScaling {}
}
