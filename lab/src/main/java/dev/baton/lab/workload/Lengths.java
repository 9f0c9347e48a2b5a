package dev.baton.lab.workload;

import java.util.random.RandomGenerator;

/** Lengths as the benchmark draws them. */
final class Lengths {
    private Lengths() {}

    /** {@code count} integers uniform in [max(floor(len*ratio), 1), len]. */
    static int[] uniform(int count, int length, double ratio, RandomGenerator random) {
        int least = Math.max((int) Math.floor(length * ratio), 1);
        int[] lengths = new int[count];
        for (int i = 0; i < count; i++) {
            lengths[i] = random.nextInt(least, length + 1);
        }
        return lengths;
    }
}
