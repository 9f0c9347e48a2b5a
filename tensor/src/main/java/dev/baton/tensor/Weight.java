package dev.baton.tensor;

import org.jspecify.annotations.Nullable;

/**
 * A linear layer's parameters: {@code y = x W^T + b}.
 *
 * @param matrix [out, in]; F32, BF16, F16 or F8_E4M3
 * @param blockScales F32 [ceil(out/128), ceil(in/128)], the multiplier of each 128 x 128 block of an F8 matrix
 *     (DeepSeek-V3 technical report, section 3.3); null otherwise
 * @param bias F32 or BF16 [out], null when there is none
 */
public record Weight(
        Tensor matrix,
        @Nullable Tensor blockScales,
        @Nullable Tensor bias) {
    public static Weight of(Tensor matrix) {
        return new Weight(matrix, null, null);
    }

    /** Output features. */
    public int outFeatures() {
        return matrix.rows();
    }

    /** Input features. */
    public int inFeatures() {
        return matrix.columns();
    }
}
