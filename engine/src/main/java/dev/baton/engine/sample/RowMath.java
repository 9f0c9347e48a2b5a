package dev.baton.engine.sample;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Passes over a row of logits as wide as the vocabulary, in vector code. {@link FastExp} is the scalar twin of the
 * exponential: the same operations in the same order, so the same bits.
 */
final class RowMath {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);
    private static final int LANES = FLOATS.length();

    private RowMath() {}

    /** The largest element; NaN when there is one. */
    static float max(float[] x) {
        FloatVector best = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i + LANES <= x.length; i += LANES) {
            best = best.max(FloatVector.fromArray(FLOATS, x, i));
        }
        float max = best.reduceLanes(VectorOperators.MAX);
        for (; i < x.length; i++) {
            max = Math.max(max, x[i]);
        }
        return max;
    }

    /** target[i] = {@link FastExp#exp}((x[i] - max) * factor). */
    static void scaledExp(float[] x, float max, float factor, float[] target) {
        int i = 0;
        for (; i + LANES <= x.length; i += LANES) {
            FloatVector scaled =
                    FloatVector.fromArray(FLOATS, x, i).sub(max).mul(factor).max(FastExp.CLAMP);
            FloatVector rounded = scaled.mul(FastExp.LOG2_E).sub(0.5f);
            IntVector n = (IntVector) rounded.convertShape(VectorOperators.F2I, INTS, 0);
            FloatVector whole = (FloatVector) n.convertShape(VectorOperators.I2F, FLOATS, 0);
            FloatVector f = scaled.sub(whole.mul(FastExp.LN2_HIGH)).sub(whole.mul(FastExp.LN2_LOW));
            FloatVector p = FloatVector.broadcast(FLOATS, FastExp.C6);
            p = p.mul(f).add(FastExp.C5);
            p = p.mul(f).add(FastExp.C4);
            p = p.mul(f).add(FastExp.C3);
            p = p.mul(f).add(0.5f);
            p = p.mul(f).add(1f);
            p = p.mul(f).add(1f);
            FloatVector power = n.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
            p.mul(power).intoArray(target, i);
        }
        for (; i < x.length; i++) {
            target[i] = FastExp.exp((x[i] - max) * factor);
        }
    }

    /**
     * Sets the logits of all tokens whose bit is not set to minus infinity.
     *
     * @param allowed [x.length / 64], one bit a token
     * @return whether a token is left
     */
    static boolean keep(float[] x, long[] allowed) {
        FloatVector left = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        float best = Float.NEGATIVE_INFINITY;
        for (int word = 0; word < allowed.length; word++) {
            long bits = allowed[word];
            int from = word * 64;
            if (from + 64 > x.length) {
                for (int i = from; i < x.length; i++) {
                    x[i] = (bits >>> i & 1) != 0 ? x[i] : Float.NEGATIVE_INFINITY;
                    best = Math.max(best, x[i]);
                }
            } else if (bits == 0) {
                java.util.Arrays.fill(x, from, from + 64, Float.NEGATIVE_INFINITY);
            } else {
                for (int i = 0; i < 64; i += LANES) {
                    VectorMask<Float> kept = VectorMask.fromLong(FLOATS, bits >>> i);
                    FloatVector row = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY)
                            .blend(FloatVector.fromArray(FLOATS, x, from + i), kept);
                    row.intoArray(x, from + i);
                    left = left.max(row);
                }
            }
        }
        best = Math.max(best, left.reduceLanes(VectorOperators.MAX));
        return best != Float.NEGATIVE_INFINITY;
    }

    /**
     * Sum of x[from] to x[to - 1], at most a few thousand elements: F32 in each lane, the lanes then in their order.
     *
     * @param lanes scratch, at least as long as a vector
     */
    static double sum(float[] x, int from, int to, float[] lanes) {
        FloatVector sums = FloatVector.zero(FLOATS);
        int i = from;
        for (; i + LANES <= to; i += LANES) {
            sums = sums.add(FloatVector.fromArray(FLOATS, x, i));
        }
        sums.intoArray(lanes, 0);
        double sum = 0;
        for (int lane = 0; lane < LANES; lane++) {
            sum += lanes[lane];
        }
        for (; i < to; i++) {
            sum += x[i];
        }
        return sum;
    }

    /** Scratch for {@link #sum}. */
    static float[] lanes() {
        return new float[LANES];
    }
}
