package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The two products of {@link VectorAttention}: a few rows of scalars times rows of vectors, added to what the results
 * hold. No lanes are summed; element order is ascending, whatever the tile. Addresses in bytes.
 */
final class ValueTiles {
    /** Rows taken at a time. */
    static final int ROWS = 4;

    private ValueTiles() {}

    /**
     * results += weights x values, 4 rows at a time, the sum over {@code count} in ascending order. Serves scores
     * (queries x keys by columns) as well as results.
     *
     * @param weightStride bytes from row to row; the other strides are floats
     * @param width columns of values to take, whole vectors
     */
    static void addProducts(
            long weights,
            long weightStride,
            int rows,
            long values,
            int valueStride,
            int count,
            long results,
            int resultStride,
            int width) {
        for (int r = 0; r < rows; r += ROWS) {
            long row = weights + r * weightStride;
            long result = results + 4L * r * resultStride;
            int d = 0;
            for (; d <= width - 4 * COUNT; d += 4 * COUNT) {
                values4x4(
                        row,
                        weightStride,
                        values + 4L * d,
                        4L * valueStride,
                        count,
                        result + 4L * d,
                        4L * resultStride);
            }
            for (; d < width; d += COUNT) {
                values4x1(
                        row,
                        weightStride,
                        values + 4L * d,
                        4L * valueStride,
                        count,
                        result + 4L * d,
                        4L * resultStride);
            }
        }
    }

    /** 4 rows of weights times {@code count} rows of 4 vectors of values, added to 4 rows of results. */
    private static void values4x4(
            long weights,
            long weightStride,
            long values,
            long valueStride,
            int count,
            long results,
            long resultStride) {
        MemorySegment w0 = ALL.asSlice(weights, 4L * count);
        MemorySegment w1 = ALL.asSlice(weights + weightStride, 4L * count);
        MemorySegment w2 = ALL.asSlice(weights + 2 * weightStride, 4L * count);
        MemorySegment w3 = ALL.asSlice(weights + 3 * weightStride, 4L * count);
        MemorySegment v = ALL.asSlice(values, (count - 1) * valueStride + 16L * COUNT);
        MemorySegment o0 = ALL.asSlice(results, 16L * COUNT);
        MemorySegment o1 = ALL.asSlice(results + resultStride, 16L * COUNT);
        MemorySegment o2 = ALL.asSlice(results + 2 * resultStride, 16L * COUNT);
        MemorySegment o3 = ALL.asSlice(results + 3 * resultStride, 16L * COUNT);
        FloatVector a00 = FloatVector.fromMemorySegment(FLOATS, o0, 0, ORDER);
        FloatVector a01 = FloatVector.fromMemorySegment(FLOATS, o0, 4L * COUNT, ORDER);
        FloatVector a02 = FloatVector.fromMemorySegment(FLOATS, o0, 8L * COUNT, ORDER);
        FloatVector a03 = FloatVector.fromMemorySegment(FLOATS, o0, 12L * COUNT, ORDER);
        FloatVector a10 = FloatVector.fromMemorySegment(FLOATS, o1, 0, ORDER);
        FloatVector a11 = FloatVector.fromMemorySegment(FLOATS, o1, 4L * COUNT, ORDER);
        FloatVector a12 = FloatVector.fromMemorySegment(FLOATS, o1, 8L * COUNT, ORDER);
        FloatVector a13 = FloatVector.fromMemorySegment(FLOATS, o1, 12L * COUNT, ORDER);
        FloatVector a20 = FloatVector.fromMemorySegment(FLOATS, o2, 0, ORDER);
        FloatVector a21 = FloatVector.fromMemorySegment(FLOATS, o2, 4L * COUNT, ORDER);
        FloatVector a22 = FloatVector.fromMemorySegment(FLOATS, o2, 8L * COUNT, ORDER);
        FloatVector a23 = FloatVector.fromMemorySegment(FLOATS, o2, 12L * COUNT, ORDER);
        FloatVector a30 = FloatVector.fromMemorySegment(FLOATS, o3, 0, ORDER);
        FloatVector a31 = FloatVector.fromMemorySegment(FLOATS, o3, 4L * COUNT, ORDER);
        FloatVector a32 = FloatVector.fromMemorySegment(FLOATS, o3, 8L * COUNT, ORDER);
        FloatVector a33 = FloatVector.fromMemorySegment(FLOATS, o3, 12L * COUNT, ORDER);
        for (int j = 0; j < count; j++) {
            long offset = j * valueStride;
            FloatVector v0 = FloatVector.fromMemorySegment(FLOATS, v, offset, ORDER);
            FloatVector v1 = FloatVector.fromMemorySegment(FLOATS, v, offset + 4L * COUNT, ORDER);
            FloatVector v2 = FloatVector.fromMemorySegment(FLOATS, v, offset + 8L * COUNT, ORDER);
            FloatVector v3 = FloatVector.fromMemorySegment(FLOATS, v, offset + 12L * COUNT, ORDER);
            FloatVector p = FloatVector.broadcast(FLOATS, w0.get(Native.FLOAT, 4L * j));
            a00 = p.fma(v0, a00);
            a01 = p.fma(v1, a01);
            a02 = p.fma(v2, a02);
            a03 = p.fma(v3, a03);
            p = FloatVector.broadcast(FLOATS, w1.get(Native.FLOAT, 4L * j));
            a10 = p.fma(v0, a10);
            a11 = p.fma(v1, a11);
            a12 = p.fma(v2, a12);
            a13 = p.fma(v3, a13);
            p = FloatVector.broadcast(FLOATS, w2.get(Native.FLOAT, 4L * j));
            a20 = p.fma(v0, a20);
            a21 = p.fma(v1, a21);
            a22 = p.fma(v2, a22);
            a23 = p.fma(v3, a23);
            p = FloatVector.broadcast(FLOATS, w3.get(Native.FLOAT, 4L * j));
            a30 = p.fma(v0, a30);
            a31 = p.fma(v1, a31);
            a32 = p.fma(v2, a32);
            a33 = p.fma(v3, a33);
        }
        a00.intoMemorySegment(o0, 0, ORDER);
        a01.intoMemorySegment(o0, 4L * COUNT, ORDER);
        a02.intoMemorySegment(o0, 8L * COUNT, ORDER);
        a03.intoMemorySegment(o0, 12L * COUNT, ORDER);
        a10.intoMemorySegment(o1, 0, ORDER);
        a11.intoMemorySegment(o1, 4L * COUNT, ORDER);
        a12.intoMemorySegment(o1, 8L * COUNT, ORDER);
        a13.intoMemorySegment(o1, 12L * COUNT, ORDER);
        a20.intoMemorySegment(o2, 0, ORDER);
        a21.intoMemorySegment(o2, 4L * COUNT, ORDER);
        a22.intoMemorySegment(o2, 8L * COUNT, ORDER);
        a23.intoMemorySegment(o2, 12L * COUNT, ORDER);
        a30.intoMemorySegment(o3, 0, ORDER);
        a31.intoMemorySegment(o3, 4L * COUNT, ORDER);
        a32.intoMemorySegment(o3, 8L * COUNT, ORDER);
        a33.intoMemorySegment(o3, 12L * COUNT, ORDER);
    }

    /** As {@link #values4x4}, one vector wide. */
    private static void values4x1(
            long weights,
            long weightStride,
            long values,
            long valueStride,
            int count,
            long results,
            long resultStride) {
        MemorySegment w0 = ALL.asSlice(weights, 4L * count);
        MemorySegment w1 = ALL.asSlice(weights + weightStride, 4L * count);
        MemorySegment w2 = ALL.asSlice(weights + 2 * weightStride, 4L * count);
        MemorySegment w3 = ALL.asSlice(weights + 3 * weightStride, 4L * count);
        MemorySegment v = ALL.asSlice(values, (count - 1) * valueStride + 4L * COUNT);
        MemorySegment o0 = ALL.asSlice(results, 4L * COUNT);
        MemorySegment o1 = ALL.asSlice(results + resultStride, 4L * COUNT);
        MemorySegment o2 = ALL.asSlice(results + 2 * resultStride, 4L * COUNT);
        MemorySegment o3 = ALL.asSlice(results + 3 * resultStride, 4L * COUNT);
        FloatVector a0 = FloatVector.fromMemorySegment(FLOATS, o0, 0, ORDER);
        FloatVector a1 = FloatVector.fromMemorySegment(FLOATS, o1, 0, ORDER);
        FloatVector a2 = FloatVector.fromMemorySegment(FLOATS, o2, 0, ORDER);
        FloatVector a3 = FloatVector.fromMemorySegment(FLOATS, o3, 0, ORDER);
        for (int j = 0; j < count; j++) {
            FloatVector v0 = FloatVector.fromMemorySegment(FLOATS, v, j * valueStride, ORDER);
            a0 = v0.fma(FloatVector.broadcast(FLOATS, w0.get(Native.FLOAT, 4L * j)), a0);
            a1 = v0.fma(FloatVector.broadcast(FLOATS, w1.get(Native.FLOAT, 4L * j)), a1);
            a2 = v0.fma(FloatVector.broadcast(FLOATS, w2.get(Native.FLOAT, 4L * j)), a2);
            a3 = v0.fma(FloatVector.broadcast(FLOATS, w3.get(Native.FLOAT, 4L * j)), a3);
        }
        a0.intoMemorySegment(o0, 0, ORDER);
        a1.intoMemorySegment(o1, 0, ORDER);
        a2.intoMemorySegment(o2, 0, ORDER);
        a3.intoMemorySegment(o3, 0, ORDER);
    }
}
