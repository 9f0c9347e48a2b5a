package dev.baton.engine.sample;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * Passes over a row of logits as wide as the vocabulary, in vector code. {@link FastExp} is the scalar twin of the
 * exponential: the same operations in the same order, so the same bits.
 */
final class RowMath {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);
    private static final int LANES = FLOATS.length();
    /** Elements that {@link #best} takes together, a multiple of 64. */
    private static final int BLOCK = 4096;
    /** Set bits of a word that are sooner looked at one by one. */
    private static final int FEW = 4;

    private RowMath() {}

    /**
     * The lowest index of the largest element, among the allowed ones: one pass that reads the row and jumps over words of the
     * mask in which no bit is set.
     *
     * @param allowed [x.length / 64] one bit an element; null for all
     * @return the index of a NaN when there is one; -1 when nothing is above minus infinity
     */
    static int best(float[] x, long @Nullable [] allowed) {
        int bestBlock = -1;
        float best = Float.NEGATIVE_INFINITY;
        for (int from = 0; from < x.length; from += BLOCK) {
            int to = Math.min(x.length, from + BLOCK);
            float max = allowed == null ? max(x, from, to) : max(x, from, to, allowed);
            if (max > best || Float.isNaN(max)) {
                best = max;
                bestBlock = from;
                if (Float.isNaN(max)) {
                    break;
                }
            }
        }
        if (bestBlock < 0) {
            return -1;
        }
        int i = bestBlock;
        while (Float.compare(x[i] + 0f, best + 0f) != 0 || allowed != null && (allowed[i >> 6] >>> i & 1) == 0) {
            i++;
        }
        return i;
    }

    /** The largest of x[from] to x[to - 1]; NaN when there is one. */
    private static float max(float[] x, int from, int to) {
        FloatVector best = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int i = from;
        for (; i + LANES <= to; i += LANES) {
            best = best.max(FloatVector.fromArray(FLOATS, x, i));
        }
        float max = best.reduceLanes(VectorOperators.MAX);
        for (; i < to; i++) {
            max = Math.max(max, x[i]);
        }
        return max;
    }

    /** The same among the allowed elements; {@code from} is a multiple of 64. */
    private static float max(float[] x, int from, int to, long[] allowed) {
        FloatVector none = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        FloatVector best = none;
        float max = Float.NEGATIVE_INFINITY;
        for (int at = from; at < to; at += 64) {
            long bits = allowed[at >> 6];
            if (bits == 0) {
                continue;
            }
            if (at + 64 > to) {
                for (int i = at; i < to; i++) {
                    max = (bits >>> i & 1) != 0 ? Math.max(max, x[i]) : max;
                }
            } else if (bits == -1) {
                for (int i = at; i < at + 64; i += LANES) {
                    best = best.max(FloatVector.fromArray(FLOATS, x, i));
                }
            } else if (Long.bitCount(bits) <= FEW) {
                for (long rest = bits; rest != 0; rest &= rest - 1) {
                    max = Math.max(max, x[at + Long.numberOfTrailingZeros(rest)]);
                }
            } else {
                for (int i = 0; i < 64; i += LANES) {
                    VectorMask<Float> kept = VectorMask.fromLong(FLOATS, bits >>> i);
                    best = best.max(none.blend(FloatVector.fromArray(FLOATS, x, at + i), kept));
                }
            }
        }
        return Math.max(max, best.reduceLanes(VectorOperators.MAX));
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
     */
    static void keep(float[] x, long[] allowed) {
        FloatVector none = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        for (int word = 0; word < allowed.length; word++) {
            long bits = allowed[word];
            int from = word * 64;
            if (from + 64 > x.length) {
                for (int i = from; i < x.length; i++) {
                    x[i] = (bits >>> i & 1) != 0 ? x[i] : Float.NEGATIVE_INFINITY;
                }
            } else if (bits == 0) {
                Arrays.fill(x, from, from + 64, Float.NEGATIVE_INFINITY);
            } else if (bits != -1) {
                for (int i = 0; i < 64; i += LANES) {
                    VectorMask<Float> kept = VectorMask.fromLong(FLOATS, bits >>> i);
                    none.blend(FloatVector.fromArray(FLOATS, x, from + i), kept).intoArray(x, from + i);
                }
            }
        }
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
