package dev.baton.lab.client;

import java.util.Arrays;

/** Mean, population standard deviation and percentiles with linear interpolation, as numpy computes them. */
public final class Percentiles {
    private final double[] sorted;

    private Percentiles(double[] sorted) {
        this.sorted = sorted;
    }

    /** Of a copy of these values; an empty set answers 0 to everything. */
    public static Percentiles of(double[] values) {
        double[] copy = values.clone();
        Arrays.sort(copy);
        return new Percentiles(copy);
    }

    /** Arithmetic mean. */
    public double mean() {
        double sum = 0;
        for (double value : sorted) {
            sum += value;
        }
        return sorted.length == 0 ? 0 : sum / sorted.length;
    }

    /** Population standard deviation (divided by n). */
    public double deviation() {
        double mean = mean();
        double squares = 0;
        for (double value : sorted) {
            squares += (value - mean) * (value - mean);
        }
        return sorted.length == 0 ? 0 : Math.sqrt(squares / sorted.length);
    }

    /** The value at a percentile from 0 to 100, interpolated between the two nearest ranks. */
    public double at(double percent) {
        if (sorted.length == 0) {
            return 0;
        }
        double rank = percent / 100 * (sorted.length - 1);
        int below = (int) Math.floor(rank);
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (sorted[above] - sorted[below]) * (rank - below);
    }

    /** The 50th percentile. */
    public double median() {
        return at(50);
    }

    /** The largest value. */
    public double max() {
        return sorted.length == 0 ? 0 : sorted[sorted.length - 1];
    }
}
