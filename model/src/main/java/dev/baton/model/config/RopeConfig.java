package dev.baton.model.config;

/**
 * Rotary position embedding of a model.
 *
 * @param rotaryDim rotated elements of a head (MLA: {@code qk_rope_head_dim})
 * @param theta the base
 * @param interleaved pairs are (2i, 2i+1) (DeepSeek); otherwise (i, i + rotaryDim/2)
 */
public record RopeConfig(int rotaryDim, double theta, boolean interleaved, RopeScaling scaling) {}
