package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Launches kernels on one stream: arguments are put in their order, then {@link #run}. One instance serves every launch
 * of a thread; it allocates nothing. Arguments travel packed, each on its natural boundary
 * ({@code CU_LAUNCH_PARAM_BUFFER_POINTER}).
 *
 * <p>From compute capability 9.0 on, a kernel is launched while the one before still runs (programmatic dependent launch,
 * CUDA Programming Guide): its own {@code griddepcontrol.wait} orders the two. Every kernel of this module has one.
 */
public final class Launch {
    /** Blocks of a cluster at most, on any GPU that has clusters. */
    public static final int MOST_CLUSTER = 8;

    private static final int MOST_BYTES = 4096;
    /**
     * Where arguments begin in the constant bank of architectures with tensor maps (sm_90): boundaries of more than 16 bytes
     * count from here, so a map that comes first lies 48 bytes behind the beginning.
     */
    private static final int PARAMETERS = 0x210;

    private static final long BUFFER_POINTER = 1;
    private static final long BUFFER_SIZE = 2;

    /** Offsets in CUlaunchConfig: six dimensions and the shared memory as ints, then stream, attributes, their number. */
    private static final int CONFIG_SHARED = 24;

    private static final int CONFIG_STREAM = 32;
    private static final int CONFIG_ATTRIBUTES = 40;
    private static final int CONFIG_COUNT = 48;
    private static final int CONFIG_BYTES = 56;

    /** A CUlaunchAttribute: its number, then the value. */
    private static final int ATTRIBUTE_BYTES = 72;

    private static final int ATTRIBUTE_VALUE = 8;
    private static final int CLUSTER_DIMENSION = 4;
    private static final int PROGRAMMATIC_SERIALIZATION = 6;

    private final int attributes;
    private final MemorySegment packed = Arena.ofAuto().allocate(MOST_BYTES, TensorMap.ALIGNMENT);
    private final MemorySegment size = Arena.ofAuto().allocate(8, 8);
    private final MemorySegment extra = Arena.ofAuto().allocate(40, 8);
    private final MemorySegment config = Arena.ofAuto().allocate(CONFIG_BYTES, 8);
    /** Programmatic serialization, then the cluster. */
    private final MemorySegment attributeList = Arena.ofAuto().allocate(2 * ATTRIBUTE_BYTES, 8);

    private int used;

    public Launch(Gpu gpu) {
        extra.set(ValueLayout.JAVA_LONG, 0, BUFFER_POINTER);
        extra.set(ValueLayout.JAVA_LONG, 8, packed.address());
        extra.set(ValueLayout.JAVA_LONG, 16, BUFFER_SIZE);
        extra.set(ValueLayout.JAVA_LONG, 24, size.address());
        extra.set(ValueLayout.JAVA_LONG, 32, 0);
        this.attributes = gpu.info().hasClusters() ? 1 : 0;
        attributeList.set(ValueLayout.JAVA_INT, 0, PROGRAMMATIC_SERIALIZATION);
        attributeList.set(ValueLayout.JAVA_INT, ATTRIBUTE_VALUE, 1);
        attributeList.set(ValueLayout.JAVA_INT, ATTRIBUTE_BYTES, CLUSTER_DIMENSION);
        attributeList.set(ValueLayout.JAVA_INT, ATTRIBUTE_BYTES + ATTRIBUTE_VALUE + 4, 1);
        config.set(ValueLayout.JAVA_INT, 16, 1);
        config.set(ValueLayout.JAVA_INT, 20, 1);
        config.set(ValueLayout.JAVA_LONG, CONFIG_STREAM, gpu.stream());
        config.set(ValueLayout.JAVA_LONG, CONFIG_ATTRIBUTES, attributeList.address());
    }

    /** A device address or another 64-bit argument. */
    public Launch put(long value) {
        used = (used + 7) / 8 * 8;
        packed.set(ValueLayout.JAVA_LONG, used, value);
        used += 8;
        return this;
    }

    /** An array of 64-bit values in a structure. */
    public Launch put(long[] values) {
        used = (used + 7) / 8 * 8;
        MemorySegment.copy(values, 0, packed, ValueLayout.JAVA_LONG, used, values.length);
        used += 8 * values.length;
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

    /** A {@code const __grid_constant__ TensorMap}. */
    public Launch put(TensorMap map) {
        int at = used + PARAMETERS;
        used = (at + TensorMap.ALIGNMENT - 1) / TensorMap.ALIGNMENT * TensorMap.ALIGNMENT - PARAMETERS;
        MemorySegment.copy(map.encoded(), 0, packed, used, TensorMap.BYTES);
        used += TensorMap.BYTES;
        return this;
    }

    /**
     * Queues the kernel with the arguments put since the last launch.
     *
     * @param sharedBytes dynamic shared memory of a block
     */
    public void run(Kernel kernel, int gridX, int gridY, int gridZ, int sharedBytes) {
        run(kernel, gridX, gridY, gridZ, sharedBytes, attributes);
    }

    /**
     * As {@link #run}, all blocks of one x or z a cluster: they see each other's shared memory. Needs
     * {@link GpuInfo#hasClusters} when a cluster has more than one block.
     *
     * @param alongX whether {@code gridX} blocks form a cluster, otherwise {@code gridZ}; at most {@link #MOST_CLUSTER}
     */
    public void runClusters(Kernel kernel, boolean alongX, int gridX, int gridY, int gridZ, int sharedBytes) {
        int x = alongX ? gridX : 1;
        int z = alongX ? 1 : gridZ;
        if (x * z == 1) {
            run(kernel, gridX, gridY, gridZ, sharedBytes, attributes);
            return;
        }
        attributeList.set(ValueLayout.JAVA_INT, ATTRIBUTE_BYTES + ATTRIBUTE_VALUE, x);
        attributeList.set(ValueLayout.JAVA_INT, ATTRIBUTE_BYTES + ATTRIBUTE_VALUE + 8, z);
        run(kernel, gridX, gridY, gridZ, sharedBytes, attributes + 1);
    }

    private void run(Kernel kernel, int gridX, int gridY, int gridZ, int sharedBytes, int attributeCount) {
        size.set(ValueLayout.JAVA_LONG, 0, used);
        used = 0;
        config.set(ValueLayout.JAVA_INT, 0, gridX);
        config.set(ValueLayout.JAVA_INT, 4, gridY);
        config.set(ValueLayout.JAVA_INT, 8, gridZ);
        config.set(ValueLayout.JAVA_INT, 12, kernel.threads());
        config.set(ValueLayout.JAVA_INT, CONFIG_SHARED, sharedBytes);
        config.set(ValueLayout.JAVA_INT, CONFIG_COUNT, attributeCount);
        int code;
        try {
            code = (int) Calls.LAUNCH.invokeExact(config, kernel.function(), MemorySegment.NULL, extra);
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "launch of " + kernel.name() + ": " + e, e);
        }
        if (code != 0) {
            throw Cuda.failure(
                    "launch of " + kernel.name() + " on a grid of " + gridX + " x " + gridY + " x " + gridZ, code);
        }
    }
}
