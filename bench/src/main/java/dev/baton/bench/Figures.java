package dev.baton.bench;

import java.util.Arrays;
import java.util.List;

/** What benchmarks say of repeated measurements. */
public final class Figures {
    private Figures() {}

    /** The middle one, of an even number the larger of both; NaN of none. */
    public static double median(double[] values) {
        return values.length == 0 ? Double.NaN : at(values, values.length / 2);
    }

    /** As {@link #median(double[])}. */
    public static double median(List<Double> values) {
        return median(values.stream().mapToDouble(Double::doubleValue).toArray());
    }

    /** The one that as many are below as {@code rank} says; 0: the least. */
    public static double at(double[] values, int rank) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[rank];
    }
}
