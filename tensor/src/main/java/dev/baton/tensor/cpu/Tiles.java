package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Lanes.INTS;
import static dev.baton.tensor.cpu.Lanes.SHORTS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The innermost loops of every matrix product: a few rows of x times a few rows of w, both contiguous along k, k a
 * multiple of {@link Lanes#COUNT}. Each pair of rows has one accumulator vector, written to {@code lanes} in the order
 * (x row, w row), so that a result does not depend on which tile computed it. Addresses and strides in bytes.
 *
 * <p>Everything is spelled out because a vector that passes through a method of ours, or an array, becomes an object.
 */
final class Tiles {
    private Tiles() {}

    /** 2 rows of x, 8 rows of w, F32: 16 accumulators. */
    static void tile2x8(long x, long xStride, long w, long wStride, int k, float[] lanes) {
        long bytes = 4L * k;
        MemorySegment x0 = ALL.asSlice(x, bytes);
        MemorySegment x1 = ALL.asSlice(x + xStride, bytes);
        MemorySegment w0 = ALL.asSlice(w, bytes);
        MemorySegment w1 = ALL.asSlice(w + wStride, bytes);
        MemorySegment w2 = ALL.asSlice(w + 2 * wStride, bytes);
        MemorySegment w3 = ALL.asSlice(w + 3 * wStride, bytes);
        MemorySegment w4 = ALL.asSlice(w + 4 * wStride, bytes);
        MemorySegment w5 = ALL.asSlice(w + 5 * wStride, bytes);
        MemorySegment w6 = ALL.asSlice(w + 6 * wStride, bytes);
        MemorySegment w7 = ALL.asSlice(w + 7 * wStride, bytes);
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
            FloatVector q = FloatVector.fromMemorySegment(FLOATS, w0, 4L * i, ORDER);
            a00 = p0.fma(q, a00);
            a10 = p1.fma(q, a10);
            q = FloatVector.fromMemorySegment(FLOATS, w1, 4L * i, ORDER);
            a01 = p0.fma(q, a01);
            a11 = p1.fma(q, a11);
            q = FloatVector.fromMemorySegment(FLOATS, w2, 4L * i, ORDER);
            a02 = p0.fma(q, a02);
            a12 = p1.fma(q, a12);
            q = FloatVector.fromMemorySegment(FLOATS, w3, 4L * i, ORDER);
            a03 = p0.fma(q, a03);
            a13 = p1.fma(q, a13);
            q = FloatVector.fromMemorySegment(FLOATS, w4, 4L * i, ORDER);
            a04 = p0.fma(q, a04);
            a14 = p1.fma(q, a14);
            q = FloatVector.fromMemorySegment(FLOATS, w5, 4L * i, ORDER);
            a05 = p0.fma(q, a05);
            a15 = p1.fma(q, a15);
            q = FloatVector.fromMemorySegment(FLOATS, w6, 4L * i, ORDER);
            a06 = p0.fma(q, a06);
            a16 = p1.fma(q, a16);
            q = FloatVector.fromMemorySegment(FLOATS, w7, 4L * i, ORDER);
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

    /** 1 row of x, 8 rows of w, F32: 8 accumulators. */
    static void tile1x8(long x, long w, long wStride, int k, float[] lanes) {
        long bytes = 4L * k;
        MemorySegment x0 = ALL.asSlice(x, bytes);
        MemorySegment w0 = ALL.asSlice(w, bytes);
        MemorySegment w1 = ALL.asSlice(w + wStride, bytes);
        MemorySegment w2 = ALL.asSlice(w + 2 * wStride, bytes);
        MemorySegment w3 = ALL.asSlice(w + 3 * wStride, bytes);
        MemorySegment w4 = ALL.asSlice(w + 4 * wStride, bytes);
        MemorySegment w5 = ALL.asSlice(w + 5 * wStride, bytes);
        MemorySegment w6 = ALL.asSlice(w + 6 * wStride, bytes);
        MemorySegment w7 = ALL.asSlice(w + 7 * wStride, bytes);
        FloatVector a0 = FloatVector.zero(FLOATS);
        FloatVector a1 = FloatVector.zero(FLOATS);
        FloatVector a2 = FloatVector.zero(FLOATS);
        FloatVector a3 = FloatVector.zero(FLOATS);
        FloatVector a4 = FloatVector.zero(FLOATS);
        FloatVector a5 = FloatVector.zero(FLOATS);
        FloatVector a6 = FloatVector.zero(FLOATS);
        FloatVector a7 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector p = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            a0 = p.fma(FloatVector.fromMemorySegment(FLOATS, w0, 4L * i, ORDER), a0);
            a1 = p.fma(FloatVector.fromMemorySegment(FLOATS, w1, 4L * i, ORDER), a1);
            a2 = p.fma(FloatVector.fromMemorySegment(FLOATS, w2, 4L * i, ORDER), a2);
            a3 = p.fma(FloatVector.fromMemorySegment(FLOATS, w3, 4L * i, ORDER), a3);
            a4 = p.fma(FloatVector.fromMemorySegment(FLOATS, w4, 4L * i, ORDER), a4);
            a5 = p.fma(FloatVector.fromMemorySegment(FLOATS, w5, 4L * i, ORDER), a5);
            a6 = p.fma(FloatVector.fromMemorySegment(FLOATS, w6, 4L * i, ORDER), a6);
            a7 = p.fma(FloatVector.fromMemorySegment(FLOATS, w7, 4L * i, ORDER), a7);
        }
        a0.intoArray(lanes, 0);
        a1.intoArray(lanes, COUNT);
        a2.intoArray(lanes, 2 * COUNT);
        a3.intoArray(lanes, 3 * COUNT);
        a4.intoArray(lanes, 4 * COUNT);
        a5.intoArray(lanes, 5 * COUNT);
        a6.intoArray(lanes, 6 * COUNT);
        a7.intoArray(lanes, 7 * COUNT);
    }

    /** 1 row of x (F32), 8 rows of w (BF16): 8 accumulators. A bf16 is the upper half of a float. */
    static void tile1x8Bf16(long x, long w, long wStride, int k, float[] lanes) {
        long bytes = 2L * k;
        MemorySegment x0 = ALL.asSlice(x, 2 * bytes);
        MemorySegment w0 = ALL.asSlice(w, bytes);
        MemorySegment w1 = ALL.asSlice(w + wStride, bytes);
        MemorySegment w2 = ALL.asSlice(w + 2 * wStride, bytes);
        MemorySegment w3 = ALL.asSlice(w + 3 * wStride, bytes);
        MemorySegment w4 = ALL.asSlice(w + 4 * wStride, bytes);
        MemorySegment w5 = ALL.asSlice(w + 5 * wStride, bytes);
        MemorySegment w6 = ALL.asSlice(w + 6 * wStride, bytes);
        MemorySegment w7 = ALL.asSlice(w + 7 * wStride, bytes);
        FloatVector a0 = FloatVector.zero(FLOATS);
        FloatVector a1 = FloatVector.zero(FLOATS);
        FloatVector a2 = FloatVector.zero(FLOATS);
        FloatVector a3 = FloatVector.zero(FLOATS);
        FloatVector a4 = FloatVector.zero(FLOATS);
        FloatVector a5 = FloatVector.zero(FLOATS);
        FloatVector a6 = FloatVector.zero(FLOATS);
        FloatVector a7 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector p = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            a0 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w0, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a0);
            a1 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w1, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a1);
            a2 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w2, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a2);
            a3 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w3, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a3);
            a4 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w4, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a4);
            a5 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w5, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a5);
            a6 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w6, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a6);
            a7 = p.fma(
                    ShortVector.fromMemorySegment(SHORTS, w7, 2L * i, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                            .reinterpretAsInts()
                            .lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats(),
                    a7);
        }
        a0.intoArray(lanes, 0);
        a1.intoArray(lanes, COUNT);
        a2.intoArray(lanes, 2 * COUNT);
        a3.intoArray(lanes, 3 * COUNT);
        a4.intoArray(lanes, 4 * COUNT);
        a5.intoArray(lanes, 5 * COUNT);
        a6.intoArray(lanes, 6 * COUNT);
        a7.intoArray(lanes, 7 * COUNT);
    }

    /** 2 rows of x (F32), 8 rows of w (BF16): 16 accumulators. */
    static void tile2x8Bf16(long x, long xStride, long w, long wStride, int k, float[] lanes) {
        long bytes = 2L * k;
        MemorySegment x0 = ALL.asSlice(x, 2 * bytes);
        MemorySegment x1 = ALL.asSlice(x + xStride, 2 * bytes);
        MemorySegment w0 = ALL.asSlice(w, bytes);
        MemorySegment w1 = ALL.asSlice(w + wStride, bytes);
        MemorySegment w2 = ALL.asSlice(w + 2 * wStride, bytes);
        MemorySegment w3 = ALL.asSlice(w + 3 * wStride, bytes);
        MemorySegment w4 = ALL.asSlice(w + 4 * wStride, bytes);
        MemorySegment w5 = ALL.asSlice(w + 5 * wStride, bytes);
        MemorySegment w6 = ALL.asSlice(w + 6 * wStride, bytes);
        MemorySegment w7 = ALL.asSlice(w + 7 * wStride, bytes);
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
            FloatVector q = ShortVector.fromMemorySegment(SHORTS, w0, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a00 = p0.fma(q, a00);
            a10 = p1.fma(q, a10);
            q = ShortVector.fromMemorySegment(SHORTS, w1, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a01 = p0.fma(q, a01);
            a11 = p1.fma(q, a11);
            q = ShortVector.fromMemorySegment(SHORTS, w2, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a02 = p0.fma(q, a02);
            a12 = p1.fma(q, a12);
            q = ShortVector.fromMemorySegment(SHORTS, w3, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a03 = p0.fma(q, a03);
            a13 = p1.fma(q, a13);
            q = ShortVector.fromMemorySegment(SHORTS, w4, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a04 = p0.fma(q, a04);
            a14 = p1.fma(q, a14);
            q = ShortVector.fromMemorySegment(SHORTS, w5, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a05 = p0.fma(q, a05);
            a15 = p1.fma(q, a15);
            q = ShortVector.fromMemorySegment(SHORTS, w6, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            a06 = p0.fma(q, a06);
            a16 = p1.fma(q, a16);
            q = ShortVector.fromMemorySegment(SHORTS, w7, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
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

    /** 4 rows of x (F32), 4 rows of w (BF16): 16 accumulators. */
    static void tile4x4Bf16(long x, long xStride, long w, long wStride, int k, float[] lanes) {
        long bytes = 2L * k;
        MemorySegment x0 = ALL.asSlice(x, 2 * bytes);
        MemorySegment x1 = ALL.asSlice(x + xStride, 2 * bytes);
        MemorySegment x2 = ALL.asSlice(x + 2 * xStride, 2 * bytes);
        MemorySegment x3 = ALL.asSlice(x + 3 * xStride, 2 * bytes);
        MemorySegment w0 = ALL.asSlice(w, bytes);
        MemorySegment w1 = ALL.asSlice(w + wStride, bytes);
        MemorySegment w2 = ALL.asSlice(w + 2 * wStride, bytes);
        MemorySegment w3 = ALL.asSlice(w + 3 * wStride, bytes);
        FloatVector a00 = FloatVector.zero(FLOATS);
        FloatVector a01 = FloatVector.zero(FLOATS);
        FloatVector a02 = FloatVector.zero(FLOATS);
        FloatVector a03 = FloatVector.zero(FLOATS);
        FloatVector a10 = FloatVector.zero(FLOATS);
        FloatVector a11 = FloatVector.zero(FLOATS);
        FloatVector a12 = FloatVector.zero(FLOATS);
        FloatVector a13 = FloatVector.zero(FLOATS);
        FloatVector a20 = FloatVector.zero(FLOATS);
        FloatVector a21 = FloatVector.zero(FLOATS);
        FloatVector a22 = FloatVector.zero(FLOATS);
        FloatVector a23 = FloatVector.zero(FLOATS);
        FloatVector a30 = FloatVector.zero(FLOATS);
        FloatVector a31 = FloatVector.zero(FLOATS);
        FloatVector a32 = FloatVector.zero(FLOATS);
        FloatVector a33 = FloatVector.zero(FLOATS);
        for (int i = 0; i < k; i += COUNT) {
            FloatVector q0 = ShortVector.fromMemorySegment(SHORTS, w0, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            FloatVector q1 = ShortVector.fromMemorySegment(SHORTS, w1, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            FloatVector q2 = ShortVector.fromMemorySegment(SHORTS, w2, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            FloatVector q3 = ShortVector.fromMemorySegment(SHORTS, w3, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats();
            FloatVector p = FloatVector.fromMemorySegment(FLOATS, x0, 4L * i, ORDER);
            a00 = p.fma(q0, a00);
            a01 = p.fma(q1, a01);
            a02 = p.fma(q2, a02);
            a03 = p.fma(q3, a03);
            p = FloatVector.fromMemorySegment(FLOATS, x1, 4L * i, ORDER);
            a10 = p.fma(q0, a10);
            a11 = p.fma(q1, a11);
            a12 = p.fma(q2, a12);
            a13 = p.fma(q3, a13);
            p = FloatVector.fromMemorySegment(FLOATS, x2, 4L * i, ORDER);
            a20 = p.fma(q0, a20);
            a21 = p.fma(q1, a21);
            a22 = p.fma(q2, a22);
            a23 = p.fma(q3, a23);
            p = FloatVector.fromMemorySegment(FLOATS, x3, 4L * i, ORDER);
            a30 = p.fma(q0, a30);
            a31 = p.fma(q1, a31);
            a32 = p.fma(q2, a32);
            a33 = p.fma(q3, a33);
        }
        a00.intoArray(lanes, 0);
        a01.intoArray(lanes, COUNT);
        a02.intoArray(lanes, 2 * COUNT);
        a03.intoArray(lanes, 3 * COUNT);
        a10.intoArray(lanes, 4 * COUNT);
        a11.intoArray(lanes, 5 * COUNT);
        a12.intoArray(lanes, 6 * COUNT);
        a13.intoArray(lanes, 7 * COUNT);
        a20.intoArray(lanes, 8 * COUNT);
        a21.intoArray(lanes, 9 * COUNT);
        a22.intoArray(lanes, 10 * COUNT);
        a23.intoArray(lanes, 11 * COUNT);
        a30.intoArray(lanes, 12 * COUNT);
        a31.intoArray(lanes, 13 * COUNT);
        a32.intoArray(lanes, 14 * COUNT);
        a33.intoArray(lanes, 15 * COUNT);
    }
}
