package dev.baton.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * The vector shape of this machine and the one order in which the lanes of an accumulator are added up.
 *
 * <p>Every dot product of the kernels is the same sum on every path: element k goes to lane k mod {@link #COUNT} of one
 * accumulator by fused multiply-add in ascending k, then the lanes are halved: lane i + lane i+COUNT/2, and so on.
 * {@code reduceLanes} cannot be used: its order is unspecified and differs between interpreted and compiled code.
 */
final class Lanes {
    static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    /** As many 16-bit lanes as {@link #FLOATS} has. */
    static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

    static final int COUNT = FLOATS.length();

    /** As many bytes as {@link #FLOATS} has lanes; null where that is less than the smallest vector. */
    static final @Nullable VectorSpecies<Byte> BYTES =
            COUNT < 8 ? null : VectorSpecies.of(byte.class, VectorShape.forBitSize(8 * COUNT));

    /** As many floats as a tile has weight rows. */
    static final VectorSpecies<Float> EIGHT = FloatVector.SPECIES_256;

    private static final VectorShuffle<Float> SWAP_8 = exchange(8);
    private static final VectorShuffle<Float> SWAP_4 = exchange(4);
    private static final VectorShuffle<Float> SWAP_2 = exchange(2);
    private static final VectorShuffle<Float> SWAP_1 = exchange(1);
    private static final VectorShuffle<Float> EVEN = VectorShuffle.fromOp(FLOATS, i -> 2 * i % COUNT);

    private Lanes() {}

    private static VectorShuffle<Float> exchange(int distance) {
        return VectorShuffle.fromOp(FLOATS, i -> distance < COUNT ? i ^ distance : i);
    }

    /**
     * Adds up the lanes of accumulators.
     *
     * @param lanes accumulator a in elements {@code [a * COUNT, (a + 1) * COUNT)}
     * @param count accumulators, a multiple of 8
     * @param sums receives one sum an accumulator
     */
    static void sum(float[] lanes, int count, float[] sums) {
        if (COUNT == 16) {
            for (int a = 0; a < count; a += 8) {
                sumEight(lanes, a * 16, sums, a);
            }
        } else {
            for (int a = 0; a < count; a++) {
                sums[a] = sumOne(lanes, a * COUNT);
            }
        }
    }

    /** The definition: halves the lanes that begin at {@code from} until one is left; they are overwritten. */
    static float sumOne(float[] lanes, int from) {
        for (int half = COUNT / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[from + i] += lanes[from + i + half];
            }
        }
        return lanes[from];
    }

    /** Eight accumulators of 16 lanes at once: each step merges two vectors of half-finished sums into one. */
    private static void sumEight(float[] lanes, int from, float[] sums, int to) {
        VectorMask<Float> upper8 = VectorMask.fromLong(FLOATS, 0xff00L);
        VectorMask<Float> upper4 = VectorMask.fromLong(FLOATS, 0xf0f0L);
        VectorMask<Float> upper2 = VectorMask.fromLong(FLOATS, 0xccccL);
        FloatVector a0 = FloatVector.fromArray(FLOATS, lanes, from);
        FloatVector a1 = FloatVector.fromArray(FLOATS, lanes, from + 16);
        FloatVector a2 = FloatVector.fromArray(FLOATS, lanes, from + 32);
        FloatVector a3 = FloatVector.fromArray(FLOATS, lanes, from + 48);
        FloatVector a4 = FloatVector.fromArray(FLOATS, lanes, from + 64);
        FloatVector a5 = FloatVector.fromArray(FLOATS, lanes, from + 80);
        FloatVector a6 = FloatVector.fromArray(FLOATS, lanes, from + 96);
        FloatVector a7 = FloatVector.fromArray(FLOATS, lanes, from + 112);
        FloatVector b0 = a0.blend(a4, upper8).add(a4.blend(a0, upper8).rearrange(SWAP_8));
        FloatVector b1 = a1.blend(a5, upper8).add(a5.blend(a1, upper8).rearrange(SWAP_8));
        FloatVector b2 = a2.blend(a6, upper8).add(a6.blend(a2, upper8).rearrange(SWAP_8));
        FloatVector b3 = a3.blend(a7, upper8).add(a7.blend(a3, upper8).rearrange(SWAP_8));
        FloatVector c0 = b0.blend(b2, upper4).add(b2.blend(b0, upper4).rearrange(SWAP_4));
        FloatVector c1 = b1.blend(b3, upper4).add(b3.blend(b1, upper4).rearrange(SWAP_4));
        FloatVector d = c0.blend(c1, upper2).add(c1.blend(c0, upper2).rearrange(SWAP_2));
        FloatVector e = d.add(d.rearrange(SWAP_1)).rearrange(EVEN);
        ((FloatVector) e.castShape(EIGHT, 0)).intoArray(sums, to);
    }
}
