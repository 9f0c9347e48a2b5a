package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.lab.report.Summary.Spread;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.function.BinaryOperator;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The PNG plots of a run. */
public final class Plots {
    private static final Color[] COLOURS = {
        new Color(0x2f6db5), new Color(0xd97a1f), new Color(0x3a9a5b), new Color(0x8a56b3), new Color(0xb33f4b)
    };

    private static final int MOST_RANKS = 2;

    private Plots() {}

    /** Writes {@code throughput_by_tag.png}, {@code e2e_latency_by_tag.png} and, with profiles, {@code step_times.png}. */
    public static List<Path> write(Summary summary, Path folder) {
        List<Path> files = new ArrayList<>();
        files.add(save(
                bars(
                        summary,
                        "Throughput",
                        "tokens/s",
                        List.of("output", "total"),
                        List.of(Summary.Cell::outputThroughput, Summary.Cell::totalThroughput)),
                folder,
                "throughput_by_tag"));
        files.add(save(
                bars(
                        summary,
                        "End-to-end latency",
                        "ms",
                        List.of("mean", "p99"),
                        List.of(Summary.Cell::meanE2eMs, Summary.Cell::p99E2eMs)),
                folder,
                "e2e_latency_by_tag"));
        if (summary.cells().stream().anyMatch(c -> !c.ranks().isEmpty())) {
            files.add(save(steps(summary), folder, "step_times"));
        }
        if (summary.cells().stream().anyMatch(c -> !c.experts().isEmpty())) {
            files.add(save(experts(summary), folder, "expert_loads"));
        }
        return files;
    }

    private static CategoryChart bars(
            Summary summary,
            String title,
            String unit,
            List<String> names,
            List<Function<Summary.Cell, Spread>> figures) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(760)
                .height(420)
                .title(title + ", median (whisker: largest deviation over the repeats)")
                .yAxisTitle(unit)
                .build();
        style(chart.getStyler());
        chart.getStyler().setAvailableSpaceFill(0.55);
        List<String> cells = summary.cells().stream().map(Summary.Cell::name).toList();
        for (int i = 0; i < names.size(); i++) {
            Function<Summary.Cell, Spread> figure = figures.get(i);
            List<Double> medians =
                    summary.cells().stream().map(c -> figure.apply(c).median()).toList();
            List<Double> errors = summary.cells().stream()
                    .map(figure)
                    .map(s -> Math.max(s.max() - s.median(), s.median() - s.min()))
                    .toList();
            chart.addSeries(names.get(i), cells, medians, errors);
        }
        return chart;
    }

    private static XYChart steps(Summary summary) {
        XYChart chart = new XYChartBuilder()
                .width(760)
                .height(420)
                .title("Steps of a full batch (of many ranks the slowest)")
                .xAxisTitle("step of the profile")
                .yAxisTitle("ms")
                .build();
        style(chart.getStyler());
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setXAxisDecimalPattern("0");
        int colour = 0;
        for (Summary.Cell cell : summary.cells()) {
            for (Summary.RankSteps rank : shown(cell)) {
                double[] x = new double[rank.stepMs().length];
                for (int i = 0; i < x.length; i++) {
                    x[i] = i + 1;
                }
                String name = cell.name() + " " + SummaryTable.key(rank) + " r" + rank.repeat();
                XYSeries series = chart.addSeries(name, x, rank.stepMs());
                series.setMarker(SeriesMarkers.CIRCLE).setMarkerColor(COLOURS[colour % COLOURS.length]);
                series.setLineColor(COLOURS[colour % COLOURS.length]);
            }
            colour++;
        }
        return chart;
    }

    /** Every rank where there are few, else the slowest of each repeat: the others wait for it. */
    private static Collection<Summary.RankSteps> shown(Summary.Cell cell) {
        long repeats = cell.ranks().stream()
                .mapToInt(Summary.RankSteps::repeat)
                .distinct()
                .count();
        if (cell.ranks().size() <= MOST_RANKS * repeats) {
            return cell.ranks();
        }
        return cell.ranks().stream()
                .collect(Collectors.toMap(
                        Summary.RankSteps::repeat,
                        rank -> rank,
                        BinaryOperator.maxBy(Comparator.comparingDouble(Summary.RankSteps::medianStepMs)),
                        TreeMap::new))
                .values();
    }

    private static CategoryChart experts(Summary summary) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(760)
                .height(420)
                .title("Tokens of each rank's experts in its busiest layer (1 is even), last repeat")
                .xAxisTitle("expert-parallel rank")
                .yAxisTitle("over the mean rank")
                .build();
        style(chart.getStyler());
        chart.getStyler().setAvailableSpaceFill(0.7);
        chart.getStyler().setYAxisMin(0.0);
        // Least pixels of a label: every rank shows its own.
        chart.getStyler().setXAxisTickMarkSpacingHint(20);
        for (Summary.Cell cell : summary.cells()) {
            List<Summary.ExpertLoad> known = cell.experts().stream()
                    .filter(load -> load.rankLoads().length > 0)
                    .toList();
            if (!known.isEmpty()) {
                double[] loads = known.getLast().rankLoads();
                chart.addSeries(
                        cell.name(),
                        IntStream.range(0, loads.length)
                                .mapToObj(rank -> "" + rank)
                                .toList(),
                        Arrays.stream(loads).boxed().toList());
            }
        }
        return chart;
    }

    private static void style(Styler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBackgroundColor(Color.WHITE);
        styler.setChartTitleBoxVisible(false);
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setSeriesColors(COLOURS);
    }

    private static Path save(org.knowm.xchart.internal.chartpart.Chart<?, ?> chart, Path folder, String name) {
        Path file = folder.resolve(name + ".png");
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", file.toFile());
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
        return file;
    }
}
