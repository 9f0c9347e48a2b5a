package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Lanes.INTS;
import static dev.baton.tensor.cpu.Lanes.SHORTS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import dev.baton.model.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Packs up to 8 weight rows of any number format into what {@link PanelTiles} reads: floats [k / COUNT, 8, COUNT], zeros
 * behind the last element and for rows that are missing. Addresses and strides in bytes.
 */
final class WeightPanel {
    private WeightPanel() {}

    /** Bytes of a panel of k elements a row, and of one row of floats behind it. */
    static long bytes(int k) {
        return 4L * (PanelTiles.FEATURES + 1) * MatrixProduct.roundUp(k);
    }

    /** Rows without scales; {@code source} is the first element of the first row. */
    static void pack(DType dtype, long source, long stride, int features, int count, long panel) {
        int padded = MatrixProduct.roundUp(count);
        if (dtype == DType.BF16 && features == PanelTiles.FEATURES && count == padded) {
            bf16(source, stride, count, panel);
            return;
        }
        long floats = panel + 4L * PanelTiles.FEATURES * padded;
        for (int i = 0; i < PanelTiles.FEATURES; i++) {
            long target = panel + 4L * COUNT * i;
            if (dtype == DType.F32 && i < features && count == padded) {
                spread(source + i * stride, padded, target);
            } else {
                MatrixRows.toFloats(dtype, source + i * stride, i < features ? count : 0, floats, padded);
                spread(floats, padded, target);
            }
        }
    }

    /**
     * Rows of an F8 matrix with block scales: {@code source} is row n, column k0.
     *
     * @param scales of the matrix's first row of blocks
     */
    static void packScaled(
            DType dtype,
            long source,
            long stride,
            int n,
            int features,
            int k0,
            int count,
            long scales,
            long scalesStride,
            long panel) {
        int padded = MatrixProduct.roundUp(count);
        long floats = panel + 4L * PanelTiles.FEATURES * padded;
        for (int i = 0; i < PanelTiles.FEATURES; i++) {
            long row = source + i * stride;
            if (i < features) {
                long rowScales = scales + (n + i) / ScalarOps.SCALE_BLOCK * scalesStride;
                MatrixRows.scaledToFloats(row, k0, count, floats, padded, rowScales);
            } else {
                MatrixRows.toFloats(dtype, row, 0, floats, padded);
            }
            spread(floats, padded, panel + 4L * COUNT * i);
        }
    }

    /**
     * 8 bf16 rows to a panel of floats [count / COUNT, 8, COUNT]; count is whole vectors. All rows at once: the panel is
     * written in order, and memory is read as 8 streams.
     */
    private static void bf16(long from, long stride, int count, long to) {
        long bytes = 2L * count;
        MemorySegment w0 = ALL.asSlice(from, bytes);
        MemorySegment w1 = ALL.asSlice(from + stride, bytes);
        MemorySegment w2 = ALL.asSlice(from + 2 * stride, bytes);
        MemorySegment w3 = ALL.asSlice(from + 3 * stride, bytes);
        MemorySegment w4 = ALL.asSlice(from + 4 * stride, bytes);
        MemorySegment w5 = ALL.asSlice(from + 5 * stride, bytes);
        MemorySegment w6 = ALL.asSlice(from + 6 * stride, bytes);
        MemorySegment w7 = ALL.asSlice(from + 7 * stride, bytes);
        MemorySegment target = ALL.asSlice(to, 16 * bytes);
        for (int i = 0; i < count; i += COUNT) {
            ShortVector.fromMemorySegment(SHORTS, w0, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w1, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 4L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w2, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 8L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w3, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 12L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w4, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 16L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w5, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 20L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w6, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 24L * COUNT, ORDER);
            ShortVector.fromMemorySegment(SHORTS, w7, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 32L * i + 28L * COUNT, ORDER);
        }
    }

    /** Floats to their place in a panel; count is whole vectors. */
    private static void spread(long from, int count, long to) {
        MemorySegment source = ALL.asSlice(from, 4L * count);
        MemorySegment target = ALL.asSlice(to, 32L * (count - COUNT) + 4L * COUNT);
        for (int i = 0; i < count; i += COUNT) {
            FloatVector.fromMemorySegment(FLOATS, source, 4L * i, ORDER).intoMemorySegment(target, 32L * i, ORDER);
        }
    }
}
