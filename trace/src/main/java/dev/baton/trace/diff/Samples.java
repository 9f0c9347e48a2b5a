package dev.baton.trace.diff;

import dev.baton.trace.analyse.Medians;
import java.util.Arrays;

/**
 * One figure of one side, once a step.
 *
 * @param values the steps that count
 * @param excludedFirst the first step's value when it was left out as an outlier, else NaN
 * @param isBimodal whether the values fall into two groups far apart: their middle then stands for neither
 */
public record Samples(double[] values, double excludedFirst, boolean isBimodal) {
    private static final int FEWEST_TO_EXCLUDE = 4;
    private static final int FEWEST_FOR_MODES = 6;

    /** Of values in step order. */
    public static Samples of(double[] values, boolean excludeFirst) {
        double[] used = excludeFirst ? Arrays.copyOfRange(values, 1, values.length) : values.clone();
        return new Samples(used, excludeFirst ? values[0] : Double.NaN, isBimodal(used));
    }

    /** Whether the first of some step lengths stands further from the others than they do among themselves. */
    static boolean isFirstOutlier(double[] values) {
        if (values.length < FEWEST_TO_EXCLUDE) {
            return false;
        }
        double[] rest = Arrays.copyOfRange(values, 1, values.length);
        double middle = Medians.of(rest);
        double spread =
                Arrays.stream(rest).max().orElse(0) - Arrays.stream(rest).min().orElse(0);
        return Math.abs(values[0] - middle) > Math.max(2 * spread, 0.01 * Math.abs(middle));
    }

    /** Two groups of at least a fifth each, with a gap three times as wide as either and 5% of the middle. */
    static boolean isBimodal(double[] values) {
        if (values.length < FEWEST_FOR_MODES) {
            return false;
        }
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int least = Math.max(2, sorted.length / 5);
        for (int i = least; i <= sorted.length - least; i++) {
            double gap = sorted[i] - sorted[i - 1];
            double widest = Math.max(sorted[i - 1] - sorted[0], sorted[sorted.length - 1] - sorted[i]);
            if (gap > 3 * widest && gap > 0.05 * Math.abs(Medians.of(sorted))) {
                return true;
            }
        }
        return false;
    }

    /** NaN for no values. */
    public double mean() {
        return Arrays.stream(values).average().orElse(Double.NaN);
    }

    /** NaN for no values. */
    public double median() {
        return Medians.of(values);
    }
}
