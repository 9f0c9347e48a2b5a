package dev.baton.lab.workload;

import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** When requests are due. */
public final class Arrivals {
    private Arrivals() {}

    /** A generator whose values depend on the seed and the purpose alone, on every machine. */
    static RandomGenerator random(long seed, String purpose) {
        return RandomGeneratorFactory.of("L64X128MixRandom").create(seed * 0x9E3779B97F4A7C15L ^ purpose.hashCode());
    }

    /**
     * Due times of a Poisson process, nanoseconds from the start; the first is 0.
     *
     * @param count requests
     * @param ratePerSecond mean arrivals a second; infinity makes all of them due at once
     * @param seed same seed, same times
     */
    public static long[] poisson(int count, double ratePerSecond, long seed) {
        long[] due = new long[count];
        if (Double.isInfinite(ratePerSecond)) {
            return due;
        }
        RandomGenerator random = random(seed, "arrivals");
        double at = 0;
        for (int i = 0; i < count; i++) {
            due[i] = (long) (at * 1e9);
            at += random.nextExponential() / ratePerSecond;
        }
        return due;
    }
}
