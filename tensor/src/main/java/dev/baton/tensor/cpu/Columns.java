package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Rows of floats to columns. Moves data, computes nothing: bits stay as they are. */
final class Columns {
    private static final VectorShuffle<Float> SWAP_8 = exchange(8);
    private static final VectorShuffle<Float> SWAP_4 = exchange(4);
    private static final VectorShuffle<Float> SWAP_2 = exchange(2);
    private static final VectorShuffle<Float> SWAP_1 = exchange(1);

    private Columns() {}

    private static VectorShuffle<Float> exchange(int distance) {
        return VectorShuffle.fromOp(FLOATS, i -> distance < COUNT ? i ^ distance : i);
    }

    /**
     * {@link Lanes#COUNT} rows of {@code count} floats become {@code count} rows, rounded up to whole vectors, of as many
     * floats as there were rows. Addresses and strides in bytes.
     *
     * @param count elements of a row; what lies behind them up to a whole vector is moved too
     */
    static void fromRows(long rows, long rowStride, int count, long to, long stride) {
        for (int i = 0; i < count; i += COUNT) {
            if (COUNT == 16) {
                sixteen(rows + 4L * i, rowStride, to + i * stride, stride);
            } else {
                oneByOne(rows + 4L * i, rowStride, to + i * stride, stride);
            }
        }
    }

    /** The definition: element (r, c) of a square of COUNT rows to (c, r). */
    static void oneByOne(long from, long fromStride, long to, long stride) {
        for (int r = 0; r < COUNT; r++) {
            for (int c = 0; c < COUNT; c++) {
                Native.setFloat(to + c * stride + 4L * r, Native.floatAt(from + r * fromStride + 4L * c));
            }
        }
    }

    /**
     * 16 rows of 16 lanes in registers: each of four steps exchanges one bit of the row's number with the same bit of the
     * lane's.
     */
    static void sixteen(long from, long fromStride, long to, long stride) {
        VectorMask<Float> upper8 = VectorMask.fromLong(FLOATS, 0xff00L);
        VectorMask<Float> upper4 = VectorMask.fromLong(FLOATS, 0xf0f0L);
        VectorMask<Float> upper2 = VectorMask.fromLong(FLOATS, 0xccccL);
        VectorMask<Float> upper1 = VectorMask.fromLong(FLOATS, 0xaaaaL);
        MemorySegment source = ALL.asSlice(from, 15 * fromStride + 64);
        MemorySegment target = ALL.asSlice(to, 15 * stride + 64);
        FloatVector a0 = FloatVector.fromMemorySegment(FLOATS, source, 0, ORDER);
        FloatVector a1 = FloatVector.fromMemorySegment(FLOATS, source, fromStride, ORDER);
        FloatVector a2 = FloatVector.fromMemorySegment(FLOATS, source, 2 * fromStride, ORDER);
        FloatVector a3 = FloatVector.fromMemorySegment(FLOATS, source, 3 * fromStride, ORDER);
        FloatVector a4 = FloatVector.fromMemorySegment(FLOATS, source, 4 * fromStride, ORDER);
        FloatVector a5 = FloatVector.fromMemorySegment(FLOATS, source, 5 * fromStride, ORDER);
        FloatVector a6 = FloatVector.fromMemorySegment(FLOATS, source, 6 * fromStride, ORDER);
        FloatVector a7 = FloatVector.fromMemorySegment(FLOATS, source, 7 * fromStride, ORDER);
        FloatVector a8 = FloatVector.fromMemorySegment(FLOATS, source, 8 * fromStride, ORDER);
        FloatVector a9 = FloatVector.fromMemorySegment(FLOATS, source, 9 * fromStride, ORDER);
        FloatVector a10 = FloatVector.fromMemorySegment(FLOATS, source, 10 * fromStride, ORDER);
        FloatVector a11 = FloatVector.fromMemorySegment(FLOATS, source, 11 * fromStride, ORDER);
        FloatVector a12 = FloatVector.fromMemorySegment(FLOATS, source, 12 * fromStride, ORDER);
        FloatVector a13 = FloatVector.fromMemorySegment(FLOATS, source, 13 * fromStride, ORDER);
        FloatVector a14 = FloatVector.fromMemorySegment(FLOATS, source, 14 * fromStride, ORDER);
        FloatVector a15 = FloatVector.fromMemorySegment(FLOATS, source, 15 * fromStride, ORDER);
        FloatVector b0 = a0.blend(a8.rearrange(SWAP_8), upper8);
        FloatVector b8 = a0.rearrange(SWAP_8).blend(a8, upper8);
        FloatVector b1 = a1.blend(a9.rearrange(SWAP_8), upper8);
        FloatVector b9 = a1.rearrange(SWAP_8).blend(a9, upper8);
        FloatVector b2 = a2.blend(a10.rearrange(SWAP_8), upper8);
        FloatVector b10 = a2.rearrange(SWAP_8).blend(a10, upper8);
        FloatVector b3 = a3.blend(a11.rearrange(SWAP_8), upper8);
        FloatVector b11 = a3.rearrange(SWAP_8).blend(a11, upper8);
        FloatVector b4 = a4.blend(a12.rearrange(SWAP_8), upper8);
        FloatVector b12 = a4.rearrange(SWAP_8).blend(a12, upper8);
        FloatVector b5 = a5.blend(a13.rearrange(SWAP_8), upper8);
        FloatVector b13 = a5.rearrange(SWAP_8).blend(a13, upper8);
        FloatVector b6 = a6.blend(a14.rearrange(SWAP_8), upper8);
        FloatVector b14 = a6.rearrange(SWAP_8).blend(a14, upper8);
        FloatVector b7 = a7.blend(a15.rearrange(SWAP_8), upper8);
        FloatVector b15 = a7.rearrange(SWAP_8).blend(a15, upper8);
        FloatVector c0 = b0.blend(b4.rearrange(SWAP_4), upper4);
        FloatVector c4 = b0.rearrange(SWAP_4).blend(b4, upper4);
        FloatVector c1 = b1.blend(b5.rearrange(SWAP_4), upper4);
        FloatVector c5 = b1.rearrange(SWAP_4).blend(b5, upper4);
        FloatVector c2 = b2.blend(b6.rearrange(SWAP_4), upper4);
        FloatVector c6 = b2.rearrange(SWAP_4).blend(b6, upper4);
        FloatVector c3 = b3.blend(b7.rearrange(SWAP_4), upper4);
        FloatVector c7 = b3.rearrange(SWAP_4).blend(b7, upper4);
        FloatVector c8 = b8.blend(b12.rearrange(SWAP_4), upper4);
        FloatVector c12 = b8.rearrange(SWAP_4).blend(b12, upper4);
        FloatVector c9 = b9.blend(b13.rearrange(SWAP_4), upper4);
        FloatVector c13 = b9.rearrange(SWAP_4).blend(b13, upper4);
        FloatVector c10 = b10.blend(b14.rearrange(SWAP_4), upper4);
        FloatVector c14 = b10.rearrange(SWAP_4).blend(b14, upper4);
        FloatVector c11 = b11.blend(b15.rearrange(SWAP_4), upper4);
        FloatVector c15 = b11.rearrange(SWAP_4).blend(b15, upper4);
        FloatVector d0 = c0.blend(c2.rearrange(SWAP_2), upper2);
        FloatVector d2 = c0.rearrange(SWAP_2).blend(c2, upper2);
        FloatVector d1 = c1.blend(c3.rearrange(SWAP_2), upper2);
        FloatVector d3 = c1.rearrange(SWAP_2).blend(c3, upper2);
        FloatVector d4 = c4.blend(c6.rearrange(SWAP_2), upper2);
        FloatVector d6 = c4.rearrange(SWAP_2).blend(c6, upper2);
        FloatVector d5 = c5.blend(c7.rearrange(SWAP_2), upper2);
        FloatVector d7 = c5.rearrange(SWAP_2).blend(c7, upper2);
        FloatVector d8 = c8.blend(c10.rearrange(SWAP_2), upper2);
        FloatVector d10 = c8.rearrange(SWAP_2).blend(c10, upper2);
        FloatVector d9 = c9.blend(c11.rearrange(SWAP_2), upper2);
        FloatVector d11 = c9.rearrange(SWAP_2).blend(c11, upper2);
        FloatVector d12 = c12.blend(c14.rearrange(SWAP_2), upper2);
        FloatVector d14 = c12.rearrange(SWAP_2).blend(c14, upper2);
        FloatVector d13 = c13.blend(c15.rearrange(SWAP_2), upper2);
        FloatVector d15 = c13.rearrange(SWAP_2).blend(c15, upper2);
        FloatVector e0 = d0.blend(d1.rearrange(SWAP_1), upper1);
        FloatVector e1 = d0.rearrange(SWAP_1).blend(d1, upper1);
        FloatVector e2 = d2.blend(d3.rearrange(SWAP_1), upper1);
        FloatVector e3 = d2.rearrange(SWAP_1).blend(d3, upper1);
        FloatVector e4 = d4.blend(d5.rearrange(SWAP_1), upper1);
        FloatVector e5 = d4.rearrange(SWAP_1).blend(d5, upper1);
        FloatVector e6 = d6.blend(d7.rearrange(SWAP_1), upper1);
        FloatVector e7 = d6.rearrange(SWAP_1).blend(d7, upper1);
        FloatVector e8 = d8.blend(d9.rearrange(SWAP_1), upper1);
        FloatVector e9 = d8.rearrange(SWAP_1).blend(d9, upper1);
        FloatVector e10 = d10.blend(d11.rearrange(SWAP_1), upper1);
        FloatVector e11 = d10.rearrange(SWAP_1).blend(d11, upper1);
        FloatVector e12 = d12.blend(d13.rearrange(SWAP_1), upper1);
        FloatVector e13 = d12.rearrange(SWAP_1).blend(d13, upper1);
        FloatVector e14 = d14.blend(d15.rearrange(SWAP_1), upper1);
        FloatVector e15 = d14.rearrange(SWAP_1).blend(d15, upper1);
        e0.intoMemorySegment(target, 0, ORDER);
        e1.intoMemorySegment(target, stride, ORDER);
        e2.intoMemorySegment(target, 2 * stride, ORDER);
        e3.intoMemorySegment(target, 3 * stride, ORDER);
        e4.intoMemorySegment(target, 4 * stride, ORDER);
        e5.intoMemorySegment(target, 5 * stride, ORDER);
        e6.intoMemorySegment(target, 6 * stride, ORDER);
        e7.intoMemorySegment(target, 7 * stride, ORDER);
        e8.intoMemorySegment(target, 8 * stride, ORDER);
        e9.intoMemorySegment(target, 9 * stride, ORDER);
        e10.intoMemorySegment(target, 10 * stride, ORDER);
        e11.intoMemorySegment(target, 11 * stride, ORDER);
        e12.intoMemorySegment(target, 12 * stride, ORDER);
        e13.intoMemorySegment(target, 13 * stride, ORDER);
        e14.intoMemorySegment(target, 14 * stride, ORDER);
        e15.intoMemorySegment(target, 15 * stride, ORDER);
    }
}
