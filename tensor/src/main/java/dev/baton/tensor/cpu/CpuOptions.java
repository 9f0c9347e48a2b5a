package dev.baton.tensor.cpu;

import dev.baton.model.DType;

/**
 * How a CPU device is opened.
 *
 * @param threads threads of one rank, the rank's own thread among them; at least 1
 * @param memoryLimitBytes most bytes that {@link CpuDevice#allocate} hands out
 * @param kernels which operators
 * @param activations F32, or BF16: every operator's result is rounded to what BF16 holds
 * @param firstCore operating system core of the rank's thread, the other threads take the following ones; -1 leaves
 *     placement to the operating system
 */
public record CpuOptions(int threads, long memoryLimitBytes, CpuKernels kernels, DType activations, int firstCore) {
    public CpuOptions {
        if (threads < 1) {
            throw new IllegalArgumentException("threads is " + threads + ", must be at least 1");
        }
        if (activations != DType.F32 && activations != DType.BF16) {
            throw new IllegalArgumentException("activations are F32 or BF16, not " + activations);
        }
        if (memoryLimitBytes < 0) {
            throw new IllegalArgumentException("memoryLimitBytes is " + memoryLimitBytes + ", must not be negative");
        }
    }

    /** Configured kernels, F32 activations, the machine's memory as the limit, threads not bound to cores. */
    public static CpuOptions of(int threads) {
        return new CpuOptions(threads, CpuMachine.memoryBytes(), CpuKernels.configured(), DType.F32, -1);
    }

    public CpuOptions withMemoryLimitBytes(long bytes) {
        return new CpuOptions(threads, bytes, kernels, activations, firstCore);
    }

    public CpuOptions withKernels(CpuKernels kernels) {
        return new CpuOptions(threads, memoryLimitBytes, kernels, activations, firstCore);
    }

    public CpuOptions withActivations(DType activations) {
        return new CpuOptions(threads, memoryLimitBytes, kernels, activations, firstCore);
    }

    public CpuOptions withFirstCore(int firstCore) {
        return new CpuOptions(threads, memoryLimitBytes, kernels, activations, firstCore);
    }
}
