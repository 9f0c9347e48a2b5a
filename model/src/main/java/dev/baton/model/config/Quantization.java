package dev.baton.model.config;

/**
 * Block-scaled F8_E4M3 weights (DeepSeek-V3 technical report, section 3.3): a matrix's {@code weight_scale_inv} holds the
 * F32 multiplier of each block.
 *
 * @param blockRows output features of a block
 * @param blockColumns input features of a block
 */
public record Quantization(int blockRows, int blockColumns) {
    /** The blocks of DeepSeek's checkpoints. */
    public static final Quantization DEEPSEEK = new Quantization(128, 128);
}
