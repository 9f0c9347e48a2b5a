package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * What is made of e^x: silu, sigmoid, softmax weights. e^x = 2^n * e^r with |r| at most ln(2)/2 and a polynomial of
 * degree 7 for e^r (coefficients of Cephes' expf), within 2 units in the last place; e^0 is exactly 1 and everything
 * below {@link #LOWEST} is 0. Own code because the library call of {@code lanewise(EXP)} rounds differently in
 * interpreted and compiled code.
 */
final class Exponential {
    /** Smallest argument whose exponential is a normal float. */
    static final float LOWEST = -87.33654f;

    private static final float HIGHEST = 88f;
    private static final float LOG2_E = 1.44269504088896341f;
    /** ln(2) in two parts, the first with few bits, so that n times it is exact. */
    private static final float LN2_HIGH = 0.693359375f;

    private static final float LN2_LOW = -2.12194440e-4f;
    /** Adding and subtracting 1.5 * 2^23 rounds to an integer, whose low bits then are the sum's low bits. */
    private static final float ROUND = 12582912f;

    private static final int ROUND_BITS = Float.floatToRawIntBits(ROUND);
    private static final int EXPONENT_BIAS = 127;
    private static final int MANTISSA_BITS = 23;

    private Exponential() {}

    /** Short enough to be compiled into its callers; a test asserts that no vector object is made. */
    private static FloatVector exp(FloatVector argument) {
        FloatVector x = argument.min(HIGHEST).max(LOWEST);
        FloatVector rounded = x.fma(FloatVector.broadcast(FLOATS, LOG2_E), FloatVector.broadcast(FLOATS, ROUND));
        FloatVector n = rounded.sub(ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(FLOATS, -LN2_HIGH), x);
        r = n.fma(FloatVector.broadcast(FLOATS, -LN2_LOW), r);
        FloatVector p =
                r.fma(FloatVector.broadcast(FLOATS, 1.9875691500e-4f), FloatVector.broadcast(FLOATS, 1.3981999507e-3f));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 8.3334519073e-3f));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 4.1665795894e-2f));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 1.6666665459e-1f));
        p = p.fma(r, FloatVector.broadcast(FLOATS, 5.0000001201e-1f));
        p = p.fma(r.mul(r), r).add(1f);
        return rounded.reinterpretAsInts()
                .add(EXPONENT_BIAS - ROUND_BITS)
                .lanewise(VectorOperators.LSHL, MANTISSA_BITS)
                .reinterpretAsFloats()
                .mul(p);
    }

    /** The same value for one element. */
    static float exp(float argument) {
        float x = Math.max(Math.min(argument, HIGHEST), LOWEST);
        float rounded = Math.fma(x, LOG2_E, ROUND);
        float n = rounded - ROUND;
        float r = Math.fma(n, -LN2_HIGH, x);
        r = Math.fma(n, -LN2_LOW, r);
        float p = Math.fma(r, 1.9875691500e-4f, 1.3981999507e-3f);
        p = Math.fma(p, r, 8.3334519073e-3f);
        p = Math.fma(p, r, 4.1665795894e-2f);
        p = Math.fma(p, r, 1.6666665459e-1f);
        p = Math.fma(p, r, 5.0000001201e-1f);
        p = Math.fma(p, r * r, r) + 1f;
        int exponent = Float.floatToRawIntBits(rounded) + EXPONENT_BIAS - ROUND_BITS;
        return Float.intBitsToFloat(exponent << MANTISSA_BITS) * p;
    }

    /** out = gate / (1 + e^-gate) * up for {@code n} floats at these addresses. */
    static void siluMul(long gate, long up, long out, int n) {
        MemorySegment gates = ALL.asSlice(gate, 4L * n);
        MemorySegment ups = ALL.asSlice(up, 4L * n);
        MemorySegment outs = ALL.asSlice(out, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector g = FloatVector.fromMemorySegment(FLOATS, gates, 4L * i, ORDER);
            FloatVector u = FloatVector.fromMemorySegment(FLOATS, ups, 4L * i, ORDER);
            g.div(exp(g.neg()).add(1f)).mul(u).intoMemorySegment(outs, 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float g = gates.get(Native.FLOAT, 4L * i);
            outs.set(Native.FLOAT, 4L * i, g / (exp(-g) + 1f) * ups.get(Native.FLOAT, 4L * i));
        }
    }

    /** to[i] = 1 / (1 + e^-from[i]). */
    static void sigmoid(long from, float[] to, int n) {
        MemorySegment source = ALL.asSlice(from, 4L * n);
        int i = 0;
        for (; i <= n - COUNT; i += COUNT) {
            FloatVector x = FloatVector.fromMemorySegment(FLOATS, source, 4L * i, ORDER);
            FloatVector.broadcast(FLOATS, 1f).div(exp(x.neg()).add(1f)).intoArray(to, i);
        }
        for (; i < n; i++) {
            to[i] = 1f / (exp(-source.get(Native.FLOAT, 4L * i)) + 1f);
        }
    }

    /**
     * One row of a block of scores to softmax weights: p = e^(score * scale - max), 0 below {@link #LOWEST}.
     *
     * @param row floats at this address, overwritten
     * @param n a multiple of the lane count
     * @param lanes COUNT floats at this address: lanes = lanes * keep + the sum of the row's vectors
     */
    static void weights(long row, int n, float scale, float max, long lanes, float keep) {
        MemorySegment scores = ALL.asSlice(row, 4L * n);
        FloatVector sum = FloatVector.zero(FLOATS);
        FloatVector factor = FloatVector.broadcast(FLOATS, scale);
        FloatVector shift = FloatVector.broadcast(FLOATS, -max);
        for (int i = 0; i < n; i += COUNT) {
            FloatVector x =
                    FloatVector.fromMemorySegment(FLOATS, scores, 4L * i, ORDER).fma(factor, shift);
            FloatVector p = exp(x).blend(0f, x.compare(VectorOperators.LT, LOWEST));
            p.intoMemorySegment(scores, 4L * i, ORDER);
            sum = sum.add(p);
        }
        FloatVector.fromMemorySegment(FLOATS, ALL, lanes, ORDER)
                .fma(FloatVector.broadcast(FLOATS, keep), sum)
                .intoMemorySegment(ALL, lanes, ORDER);
    }

    /** Softmax of n floats at an address into an array. */
    static void softmax(long from, float[] to, int n) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < n; i++) {
            max = Math.max(max, Native.floatAt(from + 4L * i));
        }
        float sum = 0;
        for (int i = 0; i < n; i++) {
            to[i] = exp(Native.floatAt(from + 4L * i) - max);
            sum += to[i];
        }
        for (int i = 0; i < n; i++) {
            to[i] /= sum;
        }
    }
}
