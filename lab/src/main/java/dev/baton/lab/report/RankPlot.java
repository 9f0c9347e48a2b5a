package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import java.awt.Color;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;

/** Traces of several ranks as a picture: where a step goes by rank, and rank x step as a heat map. */
public final class RankPlot {
    private static final int MOST_STEPS = 60;
    private static final Color[] COLOURS = {
        new Color(0x3b6ea8), new Color(0x7fb3d8), new Color(0xd9822b), new Color(0xc7ccd4)
    };

    private RankPlot() {}

    /**
     * Writes the picture; nothing when there are no ranks.
     *
     * @throws LabException IO naming the file
     */
    public static void write(RankSet set, Path file) {
        if (set.ranks().isEmpty()) {
            return;
        }
        Pictures.write(List.of(bars(set), heat(set)), file);
    }

    private static CategoryChart bars(RankSet set) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(Pictures.WIDTH)
                .height(380)
                .title("Where a step goes, median by rank")
                .xAxisTitle("rank")
                .yAxisTitle("ms")
                .build();
        Pictures.style(chart.getStyler());
        chart.getStyler().setSeriesColors(COLOURS);
        chart.getStyler().setStacked(true);
        chart.getStyler().setAvailableSpaceFill(0.7);
        List<String> ranks = set.ranks().stream().map(r -> "" + r.rank()).toList();
        series(chart, "compute alone", ranks, set, s -> s.computeNanos() - s.overlapNanos());
        series(chart, "compute and comm.", ranks, set, StepMetrics::overlapNanos);
        series(chart, "exposed comm.", ranks, set, StepMetrics::exposedNanos);
        series(chart, "idle", ranks, set, StepMetrics::idleNanos);
        return chart;
    }

    private static void series(
            CategoryChart chart, String name, List<String> ranks, RankSet set, ToLongFunction<StepMetrics> figure) {
        List<Double> values = set.ranks().stream()
                .map(r -> Medians.of(r.steps().stream().mapToLong(figure).toArray()) / 1e6)
                .toList();
        chart.addSeries(name, ranks, values);
    }

    /** Colour is waiting in collectives where there is any, else the length of the step. */
    private static HeatMapChart heat(RankSet set) {
        boolean hasWaits = IntStream.range(0, set.ranks().size())
                .anyMatch(r -> IntStream.range(0, set.waitNanos()[r].length).anyMatch(s -> set.waitNanos()[r][s] > 0));
        int steps = Math.min(
                MOST_STEPS,
                set.ranks().stream().mapToInt(r -> r.steps().size()).max().orElse(0));
        HeatMapChart chart = new HeatMapChartBuilder()
                .width(Pictures.WIDTH)
                .height(140 + Math.max(120, 24 * set.ranks().size()))
                .title(hasWaits ? "Waiting in collectives (ms), rank x step" : "Length of the step (ms), rank x step")
                .xAxisTitle("step")
                .yAxisTitle("rank")
                .build();
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.getStyler().setRangeColors(new Color[] {new Color(0xfff8f0), new Color(0xf0c090), new Color(0xd9772b)});
        chart.getStyler().setMin(0);
        chart.getStyler().setGradientColorColumnHeight(120);
        // Least pixels of a label, on either axis: every rank's row has more and shows its label.
        chart.getStyler().setXAxisTickMarkSpacingHint(18);
        chart.getStyler().setShowValue(steps <= 12);
        chart.getStyler().setHeatMapValueDecimalPattern("0.00");
        List<Number[]> cells = new ArrayList<>();
        for (int r = 0; r < set.ranks().size(); r++) {
            RankAnalysis rank = set.ranks().get(r);
            for (int s = 0; s < Math.min(steps, rank.steps().size()); s++) {
                long nanos = hasWaits
                        ? set.waitNanos()[r][s]
                        : rank.steps().get(s).step().durationNanos();
                cells.add(new Number[] {s, r, nanos / 1e6});
            }
        }
        double most =
                cells.stream().mapToDouble(cell -> cell[2].doubleValue()).max().orElse(1);
        chart.getStyler().setMax(Math.ceil(100 * most) / 100);
        chart.addSeries(
                "ms",
                IntStream.range(0, steps).mapToObj(s -> "" + s).toList(),
                set.ranks().stream().map(r -> "" + r.rank()).toList(),
                cells);
        return chart;
    }
}
