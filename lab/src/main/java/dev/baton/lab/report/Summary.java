package dev.baton.lab.report;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a run found: the content of {@code summary.json}, from which table, plots and report are made.
 *
 * @param experiment its name
 * @param description what it asked
 * @param startedAt ISO-8601
 * @param seconds how long it took
 * @param baseline the cell others are compared with
 * @param cells one entry a cell, in the experiment's order
 * @param comparisons each cell against the baseline, metric by metric
 * @param notes what a reader must know: refused figures with the reason, a busy machine, failures
 * @param verdicts what became of what was expected
 */
public record Summary(
        String experiment,
        String description,
        String startedAt,
        double seconds,
        String baseline,
        List<Cell> cells,
        List<Comparison> comparisons,
        List<String> notes,
        List<Verdict> verdicts) {

    /** Nothing was expected. */
    public Summary(
            String experiment,
            String description,
            String startedAt,
            double seconds,
            String baseline,
            List<Cell> cells,
            List<Comparison> comparisons,
            List<String> notes) {
        this(experiment, description, startedAt, seconds, baseline, cells, comparisons, notes, List.of());
    }

    /**
     * @param repeats runs that ended
     * @param completed requests with a whole answer, all repeats together
     * @param failed requests lost
     * @param accuracy share of right answers to the evaluation prompts; null when none were asked
     * @param accuracyByDomain the same a domain
     * @param ranks step times of full batches, each rank of each profiled server
     * @param experts loads of the experts' ranks under full batches, each profiled server; empty where none were counted
     */
    public record Cell(
            String name,
            int repeats,
            int completed,
            int failed,
            Spread outputThroughput,
            Spread totalThroughput,
            Spread meanE2eMs,
            Spread p99E2eMs,
            Spread meanTtftMs,
            Spread p99TtftMs,
            Spread meanTpotMs,
            Spread p99TpotMs,
            Spread meanItlMs,
            Spread p99ItlMs,
            @Nullable Double accuracy,
            Map<String, Double> accuracyByDomain,
            List<RankSteps> ranks,
            List<ExpertLoad> experts) {}

    /**
     * What the ranks that hold experts computed.
     *
     * @param repeat which run, from 1
     * @param server e.g. {@code decode}
     * @param passes forward passes that were counted
     * @param balancedness of all passes together: per layer the ranks' mean tokens over the busiest rank's, mean over the
     *     layers; null when the server does not say what each rank computed
     * @param rankLoads each rank's tokens over the mean rank's, in the layer where it has most; 1 is even
     */
    public record ExpertLoad(
            int repeat, String server, int passes, @Nullable Double balancedness, double[] rankLoads) {}

    /**
     * A figure over the repeats.
     *
     * @param values one a repeat, in the order they ran
     */
    public record Spread(double median, double min, double max, double[] values) {
        /** Zeros when there are no values. */
        public static Spread of(double... values) {
            double[] sorted = values.clone();
            Arrays.sort(sorted);
            int n = sorted.length;
            if (n == 0) {
                return new Spread(0, 0, 0, values);
            }
            double median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
            return new Spread(median, sorted[0], sorted[n - 1], values);
        }

        /** Whether the two ranges have no value in common. */
        public boolean isApartFrom(Spread other) {
            return max < other.min || other.max < min;
        }
    }

    /**
     * One rank's profiled steps.
     *
     * @param repeat which run, from 1
     * @param server e.g. {@code decode}
     * @param rank its label in the trace's file name
     * @param batch tokens of each step, in decode one a sequence
     * @param stepMs duration of each step
     * @param medianStepMs their median
     * @param tokensPerSecond batch over median step time
     * @param logTokensPerSecond what the server's own log says for the same time; null when no line falls there
     */
    public record RankSteps(
            int repeat,
            String server,
            String rank,
            int batch,
            double[] stepMs,
            double medianStepMs,
            double tokensPerSecond,
            @Nullable Double logTokensPerSecond) {}

    /**
     * What became of an expectation.
     *
     * @param ratio of the medians, cell over baseline; NaN without
     * @param holds whether it is as expected
     * @param largerThanSpread true when the two ranges over the repeats do not touch, or when every repeat agrees
     * @param words the conclusion
     */
    public record Verdict(
            String metric, String cell, double ratio, boolean holds, boolean largerThanSpread, String words) {}

    /**
     * @param metric key of the figure
     * @param cell compared with the baseline
     * @param ratio of the medians, cell over baseline
     * @param largerThanSpread true when the two ranges over the repeats do not touch
     */
    public record Comparison(
            String metric,
            String cell,
            double baselineMedian,
            double cellMedian,
            double ratio,
            boolean largerThanSpread,
            String words) {}
}
