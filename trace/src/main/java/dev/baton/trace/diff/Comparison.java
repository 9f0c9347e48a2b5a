package dev.baton.trace.diff;

/**
 * One figure on both sides.
 *
 * @param name of the figure
 * @param a samples of the first side
 * @param b samples of the second
 * @param low lower end of the 95% interval of B - A; NaN when there are too few samples
 * @param high upper end
 * @param chance how often relabelled samples differ as much (permutation test); NaN when a side is empty
 */
public record Comparison(String name, Samples a, Samples b, double low, double high, double chance) {
    static Comparison of(String name, Samples a, Samples b) {
        double[] interval = Chance.interval(a.values(), b.values(), (meanA, meanB) -> meanB - meanA);
        return new Comparison(name, a, b, interval[0], interval[1], Chance.permutation(a.values(), b.values()));
    }

    /** Mean of B minus mean of A; a side without samples counts as 0. */
    public double difference() {
        return orZero(b.mean()) - orZero(a.mean());
    }

    /** Whether the interval lies on one side of 0 and relabelled samples differ as much in 1 of 20 cases at most. */
    public boolean isBeyondChance() {
        return (low > 0 || high < 0) && chance <= 0.05;
    }

    private static double orZero(double value) {
        return Double.isNaN(value) ? 0 : value;
    }
}
