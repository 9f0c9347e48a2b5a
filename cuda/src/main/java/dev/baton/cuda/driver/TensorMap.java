package dev.baton.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A BF16 tensor in device memory as the tensor memory accelerator reads or writes it, a box at a time, in shared memory with
 * the 128-byte swizzle ({@code cuTensorMapEncodeTiled}). Stays valid as long as the memory; a kernel takes it by value,
 * {@link Launch#put(TensorMap)}.
 */
public final class TensorMap {
    /** Size and alignment of a CUtensorMap. */
    static final int BYTES = 128;

    static final int ALIGNMENT = 64;
    /** Elements of a row of a box: the width of the swizzle. */
    public static final int ROW = 64;

    private static final int BF16 = 9;
    private static final int SWIZZLE_128 = 3;
    private static final int PROMOTE_256 = 3;

    private final MemorySegment encoded = Arena.ofAuto().allocate(BYTES, ALIGNMENT);

    private TensorMap() {}

    MemorySegment encoded() {
        return encoded;
    }

    /**
     * @param address a multiple of 16
     * @param sizes elements of each dimension, the dense one first
     * @param strides bytes from one element of each further dimension to the next, multiples of 16
     * @param box what one copy takes, {@link #ROW} elements of the dense dimension, at most 256 of the others
     */
    public static TensorMap of(long address, long[] sizes, long[] strides, int[] box) {
        TensorMap map = new TensorMap();
        try (Arena arena = Arena.ofConfined()) {
            int[] ones = new int[box.length];
            Arrays.fill(ones, 1);
            MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_LONG, sizes);
            MemorySegment stride = arena.allocateFrom(ValueLayout.JAVA_LONG, strides);
            MemorySegment boxes = arena.allocateFrom(ValueLayout.JAVA_INT, box);
            MemorySegment steps = arena.allocateFrom(ValueLayout.JAVA_INT, ones);
            Cuda.run("cuTensorMapEncodeTiled", () -> (int) Calls.TENSOR_MAP.invokeExact(
                    map.encoded,
                    BF16,
                    box.length,
                    address,
                    size,
                    stride,
                    boxes,
                    steps,
                    0,
                    SWIZZLE_128,
                    PROMOTE_256,
                    0));
        }
        return map;
    }
}
