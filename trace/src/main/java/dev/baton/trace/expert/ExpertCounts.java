package dev.baton.trace.expert;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How many tokens each expert got.
 *
 * @param source where it comes from
 * @param counts [layer][expert], summed over recorded steps; dense layers have only zeros
 * @param steps recorded passes that were summed
 */
public record ExpertCounts(String source, double[][] counts, int steps) {
    /** Experts a layer. */
    public int experts() {
        return counts.length == 0 ? 0 : counts[0].length;
    }

    /** Layers that have counts; dense layers are not among them. */
    public int[] moeLayers() {
        return java.util.stream.IntStream.range(0, counts.length)
                .filter(l -> Arrays.stream(counts[l]).sum() > 0)
                .toArray();
    }

    /**
     * Why no placement should be planned from these counts; empty when they are fit for it.
     *
     * @param topK experts a token goes to: no expert can get more than {@code experts / topK} times the mean. The last
     *     layer may have fewer tokens than the others
     */
    public List<String> faults(int topK) {
        List<String> faults = new ArrayList<>();
        int[] moe = moeLayers();
        if (moe.length == 0) {
            faults.add("all counts are zero: nothing was recorded (no traffic between start and stop, or the recorder"
                    + " did not see replayed graphs)");
            return faults;
        }
        double bound = (double) experts() / topK;
        double worst = 0;
        double lowest = Double.MAX_VALUE;
        double highest = 0;
        for (int layer : moe) {
            double sum = Arrays.stream(counts[layer]).sum();
            worst = Math.max(worst, skew(counts[layer]));
            // An engine may compute the last layer for those tokens only whose logits are wanted, as Baton does.
            if (layer < moe[moe.length - 1] || moe.length == 1) {
                lowest = Math.min(lowest, sum);
            }
            highest = Math.max(highest, sum);
            if (Arrays.stream(counts[layer]).anyMatch(c -> c < 0)) {
                faults.add("layer " + layer + " has negative counts: the counter overflowed");
            }
        }
        if (worst > 0.8 * bound) {
            faults.add(String.format(
                    java.util.Locale.ROOT,
                    "one expert gets %.1f times the mean; with top-%d of %d the most that is possible is %.0f: the prompts"
                            + " were degenerate (all alike), not a load to tune on",
                    worst,
                    topK,
                    experts(),
                    bound));
        }
        if (highest > 1.01 * lowest) {
            faults.add(String.format(
                    java.util.Locale.ROOT,
                    "layers saw different numbers of tokens (%.0f to %.0f): the recording is incomplete or approximate",
                    lowest,
                    highest));
        }
        double floor = 50.0 * experts();
        if (lowest < floor) {
            faults.add(String.format(
                    java.util.Locale.ROOT,
                    "only %.0f routed tokens a layer, fewer than 50 an expert: chance rules the differences",
                    lowest));
        }
        return faults;
    }

    /** Largest count over the mean. */
    public static double skew(double[] layer) {
        double mean = Arrays.stream(layer).average().orElse(0);
        return mean == 0 ? Double.NaN : Arrays.stream(layer).max().orElse(0) / mean;
    }

    /** Whether these are the other's counts times a constant: a recording that was not reset, or copied. */
    public boolean isProportionalTo(ExpertCounts other) {
        if (other.counts.length != counts.length || other.experts() != experts()) {
            return false;
        }
        double ratio = 0;
        for (int l = 0; l < counts.length; l++) {
            for (int e = 0; e < experts(); e++) {
                double a = counts[l][e];
                double b = other.counts[l][e];
                if ((a == 0) != (b == 0)) {
                    return false;
                }
                if (a != 0) {
                    ratio = ratio == 0 ? a / b : ratio;
                    if (Math.abs(a / b - ratio) > 1e-6 * ratio) {
                        return false;
                    }
                }
            }
        }
        return ratio != 0;
    }
}
