package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import dev.baton.model.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/** Operators on one row of floats. Addresses; n counts elements. */
final class RowKernels {
    private static final VectorShuffle<Float> SWAP_PAIRS = VectorShuffle.fromOp(FLOATS, i -> COUNT > 1 ? i ^ 1 : i);

    private RowKernels() {}

    /** target += x. */
    static void add(long target, long x, int n) {
        MemorySegment targets = ALL.asSlice(target, 4L * n);
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector.fromMemorySegment(FLOATS, targets, 4L * i, ORDER)
                    .add(FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER))
                    .intoMemorySegment(targets, 4L * i, ORDER);
        }
        for (; i < n; i++) {
            targets.set(Native.FLOAT, 4L * i, targets.get(Native.FLOAT, 4L * i) + xs.get(Native.FLOAT, 4L * i));
        }
    }

    /** target += factor * x. */
    static void addScaled(long target, long x, float factor, int n) {
        MemorySegment targets = ALL.asSlice(target, 4L * n);
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        FloatVector factors = FloatVector.broadcast(FLOATS, factor);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER)
                    .fma(factors, FloatVector.fromMemorySegment(FLOATS, targets, 4L * i, ORDER))
                    .intoMemorySegment(targets, 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float sum = Math.fma(xs.get(Native.FLOAT, 4L * i), factor, targets.get(Native.FLOAT, 4L * i));
            targets.set(Native.FLOAT, 4L * i, sum);
        }
    }

    /** x *= factor. */
    static void scale(long x, float factor, int n) {
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER).mul(factor).intoMemorySegment(xs, 4L * i, ORDER);
        }
        for (; i < n; i++) {
            xs.set(Native.FLOAT, 4L * i, xs.get(Native.FLOAT, 4L * i) * factor);
        }
    }

    /** out = x / sqrt(mean(x^2) + epsilon) * weight; weight is floats. */
    static void rmsNorm(long x, long weight, float epsilon, long out, int n, float[] lanes) {
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        float factor = (float) (1 / Math.sqrt(squares(x, n, lanes) / n + epsilon));
        MemorySegment weights = ALL.asSlice(weight, 4L * n);
        MemorySegment outs = ALL.asSlice(out, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER)
                    .mul(factor)
                    .mul(FloatVector.fromMemorySegment(FLOATS, weights, 4L * i, ORDER))
                    .intoMemorySegment(outs, 4L * i, ORDER);
        }
        for (; i < n; i++) {
            outs.set(Native.FLOAT, 4L * i, xs.get(Native.FLOAT, 4L * i) * factor * weights.get(Native.FLOAT, 4L * i));
        }
    }

    /** Sum of squares: four accumulators in turn, then the rest one by one. */
    private static double squares(long x, int n, float[] lanes) {
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        FloatVector a = FloatVector.zero(FLOATS);
        FloatVector b = FloatVector.zero(FLOATS);
        FloatVector c = FloatVector.zero(FLOATS);
        FloatVector d = FloatVector.zero(FLOATS);
        int i = 0;
        for (; i <= n - 4 * COUNT; i += 4 * COUNT) {
            FloatVector v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER);
            a = v.fma(v, a);
            v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i + 4L * COUNT, ORDER);
            b = v.fma(v, b);
            v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i + 8L * COUNT, ORDER);
            c = v.fma(v, c);
            v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i + 12L * COUNT, ORDER);
            d = v.fma(v, d);
        }
        a.add(b).add(c.add(d)).intoArray(lanes, 0);
        double sum = Lanes.sumOne(lanes, 0);
        for (; i < n; i++) {
            float value = xs.get(Native.FLOAT, 4L * i);
            sum += value * value;
        }
        return sum;
    }

    /** Rotates pairs (i, i + half) of the {@code 2 * half} floats at x. cos and sin have half elements each. */
    static void ropeHalves(long x, long cos, long sin, int half) {
        MemorySegment first = ALL.asSlice(x, 4L * half);
        MemorySegment second = ALL.asSlice(x + 4L * half, 4L * half);
        MemorySegment coss = ALL.asSlice(cos, 4L * half);
        MemorySegment sins = ALL.asSlice(sin, 4L * half);
        int i = 0;
        for (; i <= half - COUNT; i += COUNT) {
            FloatVector a = FloatVector.fromMemorySegment(FLOATS, first, 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(FLOATS, second, 4L * i, ORDER);
            FloatVector c = FloatVector.fromMemorySegment(FLOATS, coss, 4L * i, ORDER);
            FloatVector s = FloatVector.fromMemorySegment(FLOATS, sins, 4L * i, ORDER);
            a.mul(c).sub(b.mul(s)).intoMemorySegment(first, 4L * i, ORDER);
            b.mul(c).add(a.mul(s)).intoMemorySegment(second, 4L * i, ORDER);
        }
        for (; i < half; i++) {
            float a = first.get(Native.FLOAT, 4L * i);
            float b = second.get(Native.FLOAT, 4L * i);
            float c = coss.get(Native.FLOAT, 4L * i);
            float s = sins.get(Native.FLOAT, 4L * i);
            first.set(Native.FLOAT, 4L * i, a * c - b * s);
            second.set(Native.FLOAT, 4L * i, b * c + a * s);
        }
    }

    /** Writes each cosine twice, and each sine twice, negated the first time: what {@link #ropePairs} takes. */
    static void spreadPairs(long cos, long sin, int half, long cosTo, long sinTo) {
        for (int i = 0; i < half; i++) {
            float c = Native.floatAt(cos + 4L * i);
            float s = Native.floatAt(sin + 4L * i);
            Native.setFloat(cosTo + 8L * i, c);
            Native.setFloat(cosTo + 8L * i + 4, c);
            Native.setFloat(sinTo + 8L * i, -s);
            Native.setFloat(sinTo + 8L * i + 4, s);
        }
    }

    /** Rotates pairs (2i, 2i + 1) of n floats at x. */
    static void ropePairs(long x, long cos, long sin, int n) {
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        MemorySegment coss = ALL.asSlice(cos, 4L * n);
        MemorySegment sins = ALL.asSlice(sin, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER);
            v.mul(FloatVector.fromMemorySegment(FLOATS, coss, 4L * i, ORDER))
                    .add(v.rearrange(SWAP_PAIRS).mul(FloatVector.fromMemorySegment(FLOATS, sins, 4L * i, ORDER)))
                    .intoMemorySegment(xs, 4L * i, ORDER);
        }
        for (; i < n; i += 2) {
            float a = xs.get(Native.FLOAT, 4L * i);
            float b = xs.get(Native.FLOAT, 4L * i + 4);
            float c = coss.get(Native.FLOAT, 4L * i);
            float s = sins.get(Native.FLOAT, 4L * i + 4);
            xs.set(Native.FLOAT, 4L * i, a * c - b * s);
            xs.set(Native.FLOAT, 4L * i + 4, b * c + a * s);
        }
    }

    /** Copies n elements between F32 and BF16, rounding to nearest even. */
    static void copy(DType fromType, long from, DType toType, long to, int n) {
        if (fromType == toType) {
            MemorySegment.copy(ALL, from, ALL, to, (long) n * fromType.bytes());
        } else if (toType == DType.BF16) {
            MatrixRows.floatsToBf16(from, n, to);
        } else {
            MatrixRows.toFloats(fromType, from, n, to, n);
        }
    }

    /** Largest of n floats; a NaN is passed over. */
    static float max(long x, int n) {
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        FloatVector best = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector v = FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER);
            best = best.blend(v, v.compare(VectorOperators.GT, best));
        }
        float max = best.reduceLanes(VectorOperators.MAX);
        for (; i < n; i++) {
            float value = xs.get(Native.FLOAT, 4L * i);
            if (value > max) {
                max = value;
            }
        }
        return max;
    }

    /** The lowest index of the largest of n floats, 0 where no element is larger than -infinity. */
    static int argmax(long x, int n) {
        float max = max(x, n);
        MemorySegment xs = ALL.asSlice(x, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            VectorMask<Float> equal =
                    FloatVector.fromMemorySegment(FLOATS, xs, 4L * i, ORDER).compare(VectorOperators.EQ, max);
            if (equal.anyTrue()) {
                return max == Float.NEGATIVE_INFINITY ? 0 : i + equal.firstTrue();
            }
        }
        for (; i < n; i++) {
            if (xs.get(Native.FLOAT, 4L * i) == max) {
                return max == Float.NEGATIVE_INFINITY ? 0 : i;
            }
        }
        return 0;
    }
}
