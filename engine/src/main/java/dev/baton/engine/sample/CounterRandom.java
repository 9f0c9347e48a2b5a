package dev.baton.engine.sample;

/**
 * Random numbers without a state: each is a function of a request's seed and a token's position, so that what a request
 * draws depends neither on what else is in the batch nor on how often it was computed again.
 */
public final class CounterRandom {
    private static final long WEYL = 0x9E3779B97F4A7C15L;

    private CounterRandom() {}

    /** Uniform in [0, 1), 53 bits. */
    public static double uniform(long seed, long position) {
        return (bits(seed, position) >>> 11) * 0x1p-53;
    }

    /** The 53 bits of {@link #uniform} in the high end of a long, zeros below. */
    static long bits(long seed, long position) {
        return mix(mix(seed) + position * WEYL) & -1L << 11;
    }

    /** A permutation of the 64-bit numbers whose output bits depend on every input bit (Stafford's variant 13). */
    private static long mix(long value) {
        long z = value + WEYL;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
