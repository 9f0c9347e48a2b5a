package dev.baton.trace.diff;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.DoubleBinaryOperator;

/** How much of a difference chance alone would make. Draws are seeded: the same samples give the same answer. */
final class Chance {
    private static final int DRAWS = 4000;
    private static final long SEED = 20_251_122;
    private static final int MOST_EXACT = 20_000;

    private Chance() {}

    /**
     * The 95% bootstrap interval (percentiles) of a function of the two means.
     *
     * @return {low, high}; {NaN, NaN} when a side has fewer than two samples
     */
    static double[] interval(double[] a, double[] b, DoubleBinaryOperator figure) {
        if (a.length < 2 || b.length < 2) {
            return new double[] {Double.NaN, Double.NaN};
        }
        SplittableRandom random = new SplittableRandom(SEED);
        double[] drawn = new double[DRAWS];
        for (int i = 0; i < DRAWS; i++) {
            drawn[i] = figure.applyAsDouble(drawnMean(a, random), drawnMean(b, random));
        }
        Arrays.sort(drawn);
        return new double[] {drawn[(int) (0.025 * DRAWS)], drawn[(int) (0.975 * DRAWS) - 1]};
    }

    private static double drawnMean(double[] values, SplittableRandom random) {
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            sum += values[random.nextInt(values.length)];
        }
        return sum / values.length;
    }

    /**
     * The share of relabellings whose means differ at least as much as the real ones: every relabelling where there are
     * few, else drawn ones. NaN when a side is empty.
     */
    static double permutation(double[] a, double[] b) {
        if (a.length == 0 || b.length == 0) {
            return Double.NaN;
        }
        double[] all = new double[a.length + b.length];
        System.arraycopy(a, 0, all, 0, a.length);
        System.arraycopy(b, 0, all, a.length, b.length);
        double total = Arrays.stream(all).sum();
        double real = difference(Arrays.stream(a).sum(), total, a.length, b.length);
        double tolerance = 1e-12 * Math.max(1, Math.abs(total));
        long[] counts = new long[2];
        if (choose(all.length, a.length) <= MOST_EXACT) {
            enumerate(all, 0, a.length, 0, total, b.length, a.length, real - tolerance, counts);
        } else {
            drawn(all, a.length, total, real - tolerance, counts);
        }
        return (double) counts[0] / counts[1];
    }

    private static double difference(double sumA, double total, int a, int b) {
        return Math.abs(sumA / a - (total - sumA) / b);
    }

    private static void enumerate(
            double[] all, int from, int left, double sum, double total, int b, int a, double real, long[] counts) {
        if (left == 0) {
            counts[1]++;
            counts[0] += difference(sum, total, a, b) >= real ? 1 : 0;
            return;
        }
        for (int i = from; i <= all.length - left; i++) {
            enumerate(all, i + 1, left - 1, sum + all[i], total, b, a, real, counts);
        }
    }

    private static void drawn(double[] all, int a, double total, double real, long[] counts) {
        SplittableRandom random = new SplittableRandom(SEED);
        double[] shuffled = all.clone();
        counts[0] = 1;
        counts[1] = 1;
        for (int draw = 0; draw < DRAWS; draw++) {
            double sum = 0;
            for (int i = 0; i < a; i++) {
                int other = i + random.nextInt(shuffled.length - i);
                double swapped = shuffled[i];
                shuffled[i] = shuffled[other];
                shuffled[other] = swapped;
                sum += shuffled[i];
            }
            counts[1]++;
            counts[0] += difference(sum, total, a, all.length - a) >= real ? 1 : 0;
        }
    }

    private static double choose(int n, int k) {
        double ways = 1;
        for (int i = 1; i <= Math.min(k, n - k); i++) {
            ways = ways * (n - i + 1) / i;
        }
        return ways;
    }
}
