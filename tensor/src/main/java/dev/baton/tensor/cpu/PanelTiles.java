package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The innermost loops of a product of many rows: a few rows of x, contiguous along k, times a packed panel of
 * {@link #FEATURES} weight rows, F32 [k / COUNT, FEATURES, COUNT]. One base address for all weights leaves the address
 * registers to the rows, and the panel is read in order from the first-level cache. Accumulators go to {@code lanes} in
 * the order (x row, weight row), each the same sum as in {@link Tiles}.
 */
final class PanelTiles {
    /** Weight rows of a panel. */
    static final int FEATURES = 8;

    private PanelTiles() {}

    /** 3 rows of x: 24 accumulators. */
    static void tile3x8(long x, long xStride, long panel, int k, float[] lanes) {
        long bytes = 4L * k;
        MemorySegment x0 = ALL.asSlice(x, bytes);
        MemorySegment x1 = ALL.asSlice(x + xStride, bytes);
        MemorySegment x2 = ALL.asSlice(x + 2 * xStride, bytes);
        MemorySegment w = ALL.asSlice(panel, FEATURES * bytes);
        FloatVector a00 = FloatVector.zero(FLOATS);
        FloatVector a01 = FloatVector.zero(FLOATS);
        FloatVector a02 = FloatVector.zero(FLOATS);
        FloatVector a03 = FloatVector.zero(FLOATS);
        FloatVector a04 = FloatVector.zero(FLOATS);
        FloatVector a05 = FloatVector.zero(FLOATS);
        FloatVector a06 = FloatVector.zero(FLOATS);
        FloatVector a07 = FloatVector.zero(FLOATS);
        FloatVector a10 = FloatVector.zero(FLOATS);
        FloatVector a11 = FloatVector.zero(FLOATS);
        FloatVector a12 = FloatVector.zero(FLOATS);
        FloatVector a13 = FloatVector.zero(FLOATS);
        FloatVector a14 = FloatVector.zero(FLOATS);
        FloatVector a15 = FloatVector.zero(FLOATS);
        FloatVector a16 = FloatVector.zero(FLOATS);
        FloatVector a17 = FloatVector.zero(FLOATS);
        FloatVector a20 = FloatVector.zero(FLOATS);
        FloatVector a21 = FloatVector.zero(FLOATS);
        FloatVector a22 = FloatVector.zero(FLOATS);
        FloatVector a23 = FloatVector.zero(FLOATS);
        FloatVector a24 = FloatVector.zero(FLOATS);
        FloatVector a25 = FloatVector.zero(FLOATS);
        FloatVector a26 = FloatVector.zero(FLOATS);
        FloatVector a27 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector p0 = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            FloatVector p1 = FloatVector.fromMemorySegment(FLOATS, x1, 4L * i, ORDER);
            FloatVector p2 = FloatVector.fromMemorySegment(FLOATS, x2, 4L * i, ORDER);
            FloatVector q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i, ORDER);
            a00 = p0.fma(q, a00);
            a10 = p1.fma(q, a10);
            a20 = p2.fma(q, a20);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 4L * COUNT, ORDER);
            a01 = p0.fma(q, a01);
            a11 = p1.fma(q, a11);
            a21 = p2.fma(q, a21);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 8L * COUNT, ORDER);
            a02 = p0.fma(q, a02);
            a12 = p1.fma(q, a12);
            a22 = p2.fma(q, a22);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 12L * COUNT, ORDER);
            a03 = p0.fma(q, a03);
            a13 = p1.fma(q, a13);
            a23 = p2.fma(q, a23);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 16L * COUNT, ORDER);
            a04 = p0.fma(q, a04);
            a14 = p1.fma(q, a14);
            a24 = p2.fma(q, a24);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 20L * COUNT, ORDER);
            a05 = p0.fma(q, a05);
            a15 = p1.fma(q, a15);
            a25 = p2.fma(q, a25);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 24L * COUNT, ORDER);
            a06 = p0.fma(q, a06);
            a16 = p1.fma(q, a16);
            a26 = p2.fma(q, a26);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 28L * COUNT, ORDER);
            a07 = p0.fma(q, a07);
            a17 = p1.fma(q, a17);
            a27 = p2.fma(q, a27);
        }
        a00.intoArray(lanes, 0);
        a01.intoArray(lanes, COUNT);
        a02.intoArray(lanes, 2 * COUNT);
        a03.intoArray(lanes, 3 * COUNT);
        a04.intoArray(lanes, 4 * COUNT);
        a05.intoArray(lanes, 5 * COUNT);
        a06.intoArray(lanes, 6 * COUNT);
        a07.intoArray(lanes, 7 * COUNT);
        a10.intoArray(lanes, 8 * COUNT);
        a11.intoArray(lanes, 9 * COUNT);
        a12.intoArray(lanes, 10 * COUNT);
        a13.intoArray(lanes, 11 * COUNT);
        a14.intoArray(lanes, 12 * COUNT);
        a15.intoArray(lanes, 13 * COUNT);
        a16.intoArray(lanes, 14 * COUNT);
        a17.intoArray(lanes, 15 * COUNT);
        a20.intoArray(lanes, 16 * COUNT);
        a21.intoArray(lanes, 17 * COUNT);
        a22.intoArray(lanes, 18 * COUNT);
        a23.intoArray(lanes, 19 * COUNT);
        a24.intoArray(lanes, 20 * COUNT);
        a25.intoArray(lanes, 21 * COUNT);
        a26.intoArray(lanes, 22 * COUNT);
        a27.intoArray(lanes, 23 * COUNT);
    }

    /** 2 rows of x: 16 accumulators. */
    static void tile2x8(long x, long xStride, long panel, int k, float[] lanes) {
        long bytes = 4L * k;
        MemorySegment x0 = ALL.asSlice(x, bytes);
        MemorySegment x1 = ALL.asSlice(x + xStride, bytes);
        MemorySegment w = ALL.asSlice(panel, FEATURES * bytes);
        FloatVector a00 = FloatVector.zero(FLOATS);
        FloatVector a01 = FloatVector.zero(FLOATS);
        FloatVector a02 = FloatVector.zero(FLOATS);
        FloatVector a03 = FloatVector.zero(FLOATS);
        FloatVector a04 = FloatVector.zero(FLOATS);
        FloatVector a05 = FloatVector.zero(FLOATS);
        FloatVector a06 = FloatVector.zero(FLOATS);
        FloatVector a07 = FloatVector.zero(FLOATS);
        FloatVector a10 = FloatVector.zero(FLOATS);
        FloatVector a11 = FloatVector.zero(FLOATS);
        FloatVector a12 = FloatVector.zero(FLOATS);
        FloatVector a13 = FloatVector.zero(FLOATS);
        FloatVector a14 = FloatVector.zero(FLOATS);
        FloatVector a15 = FloatVector.zero(FLOATS);
        FloatVector a16 = FloatVector.zero(FLOATS);
        FloatVector a17 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector p0 = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            FloatVector p1 = FloatVector.fromMemorySegment(FLOATS, x1, 4L * i, ORDER);
            FloatVector q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i, ORDER);
            a00 = p0.fma(q, a00);
            a10 = p1.fma(q, a10);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 4L * COUNT, ORDER);
            a01 = p0.fma(q, a01);
            a11 = p1.fma(q, a11);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 8L * COUNT, ORDER);
            a02 = p0.fma(q, a02);
            a12 = p1.fma(q, a12);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 12L * COUNT, ORDER);
            a03 = p0.fma(q, a03);
            a13 = p1.fma(q, a13);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 16L * COUNT, ORDER);
            a04 = p0.fma(q, a04);
            a14 = p1.fma(q, a14);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 20L * COUNT, ORDER);
            a05 = p0.fma(q, a05);
            a15 = p1.fma(q, a15);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 24L * COUNT, ORDER);
            a06 = p0.fma(q, a06);
            a16 = p1.fma(q, a16);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 28L * COUNT, ORDER);
            a07 = p0.fma(q, a07);
            a17 = p1.fma(q, a17);
        }
        a00.intoArray(lanes, 0);
        a01.intoArray(lanes, COUNT);
        a02.intoArray(lanes, 2 * COUNT);
        a03.intoArray(lanes, 3 * COUNT);
        a04.intoArray(lanes, 4 * COUNT);
        a05.intoArray(lanes, 5 * COUNT);
        a06.intoArray(lanes, 6 * COUNT);
        a07.intoArray(lanes, 7 * COUNT);
        a10.intoArray(lanes, 8 * COUNT);
        a11.intoArray(lanes, 9 * COUNT);
        a12.intoArray(lanes, 10 * COUNT);
        a13.intoArray(lanes, 11 * COUNT);
        a14.intoArray(lanes, 12 * COUNT);
        a15.intoArray(lanes, 13 * COUNT);
        a16.intoArray(lanes, 14 * COUNT);
        a17.intoArray(lanes, 15 * COUNT);
    }

    /** 1 row of x: 8 accumulators. */
    static void tile1x8(long x, long panel, int k, float[] lanes) {
        long bytes = 4L * k;
        MemorySegment x0 = ALL.asSlice(x, bytes);
        MemorySegment w = ALL.asSlice(panel, FEATURES * bytes);
        FloatVector a00 = FloatVector.zero(FLOATS);
        FloatVector a01 = FloatVector.zero(FLOATS);
        FloatVector a02 = FloatVector.zero(FLOATS);
        FloatVector a03 = FloatVector.zero(FLOATS);
        FloatVector a04 = FloatVector.zero(FLOATS);
        FloatVector a05 = FloatVector.zero(FLOATS);
        FloatVector a06 = FloatVector.zero(FLOATS);
        FloatVector a07 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector p0 = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            FloatVector q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i, ORDER);
            a00 = p0.fma(q, a00);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 4L * COUNT, ORDER);
            a01 = p0.fma(q, a01);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 8L * COUNT, ORDER);
            a02 = p0.fma(q, a02);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 12L * COUNT, ORDER);
            a03 = p0.fma(q, a03);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 16L * COUNT, ORDER);
            a04 = p0.fma(q, a04);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 20L * COUNT, ORDER);
            a05 = p0.fma(q, a05);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 24L * COUNT, ORDER);
            a06 = p0.fma(q, a06);
            q = FloatVector.fromMemorySegment(FLOATS, w, 32L * i + 28L * COUNT, ORDER);
            a07 = p0.fma(q, a07);
        }
        a00.intoArray(lanes, 0);
        a01.intoArray(lanes, COUNT);
        a02.intoArray(lanes, 2 * COUNT);
        a03.intoArray(lanes, 3 * COUNT);
        a04.intoArray(lanes, 4 * COUNT);
        a05.intoArray(lanes, 5 * COUNT);
        a06.intoArray(lanes, 6 * COUNT);
        a07.intoArray(lanes, 7 * COUNT);
    }
}
