package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Launches kernels on one stream: arguments are put in their order, then {@link #run}. One instance serves every launch
 * of a thread; it allocates nothing. Arguments travel packed, each on its natural boundary
 * ({@code CU_LAUNCH_PARAM_BUFFER_POINTER}).
 */
public final class Launch {
    private static final int MOST_BYTES = 4096;
    private static final long BUFFER_POINTER = 1;
    private static final long BUFFER_SIZE = 2;

    private final long stream;
    private final MemorySegment packed = Arena.ofAuto().allocate(MOST_BYTES, 16);
    private final MemorySegment size = Arena.ofAuto().allocate(8, 8);
    private final MemorySegment extra = Arena.ofAuto().allocate(40, 8);
    private int used;

    public Launch(Gpu gpu) {
        this.stream = gpu.stream();
        extra.set(ValueLayout.JAVA_LONG, 0, BUFFER_POINTER);
        extra.set(ValueLayout.JAVA_LONG, 8, packed.address());
        extra.set(ValueLayout.JAVA_LONG, 16, BUFFER_SIZE);
        extra.set(ValueLayout.JAVA_LONG, 24, size.address());
        extra.set(ValueLayout.JAVA_LONG, 32, 0);
    }

    /** A device address or another 64-bit argument. */
    public Launch put(long value) {
        used = (used + 7) / 8 * 8;
        packed.set(ValueLayout.JAVA_LONG, used, value);
        used += 8;
        return this;
    }

    public Launch put(int value) {
        packed.set(ValueLayout.JAVA_INT, used, value);
        used += 4;
        return this;
    }

    public Launch put(float value) {
        packed.set(ValueLayout.JAVA_FLOAT, used, value);
        used += 4;
        return this;
    }

    /**
     * Queues the kernel with the arguments put since the last launch.
     *
     * @param sharedBytes dynamic shared memory of a block
     */
    public void run(Kernel kernel, int gridX, int gridY, int gridZ, int sharedBytes) {
        size.set(ValueLayout.JAVA_LONG, 0, used);
        used = 0;
        int code;
        try {
            code = (int) Calls.LAUNCH.invokeExact(
                    kernel.function(),
                    gridX,
                    gridY,
                    gridZ,
                    kernel.threads(),
                    1,
                    1,
                    sharedBytes,
                    stream,
                    MemorySegment.NULL,
                    extra);
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "launch of " + kernel.name() + ": " + e, e);
        }
        if (code != 0) {
            throw Cuda.failure(
                    "launch of " + kernel.name() + " on a grid of " + gridX + " x " + gridY + " x " + gridZ, code);
        }
    }
}
