package dev.baton.cuda;

import dev.baton.model.DType;

/**
 * @param ordinal which GPU
 * @param activations F32 or BF16: what operators hand to each other; the residual stream, logits and gate scores are F32
 * @param memoryLimitBytes device memory that may be taken; at most what is free when the device is opened
 */
public record CudaOptions(int ordinal, DType activations, long memoryLimitBytes) {
    public CudaOptions {
        if (activations != DType.F32 && activations != DType.BF16) {
            throw new IllegalArgumentException("activations are F32 or BF16, not " + activations);
        }
        if (memoryLimitBytes < 1) {
            throw new IllegalArgumentException("memoryLimitBytes must be at least 1, got " + memoryLimitBytes);
        }
    }

    /** A GPU with all the memory that is free. */
    public static CudaOptions of(int ordinal, DType activations) {
        return new CudaOptions(ordinal, activations, Long.MAX_VALUE);
    }
}
