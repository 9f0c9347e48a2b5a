package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.trace.log.BatchLine;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.ServerLog;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A server's decode lines over time: running requests, KV usage and throughput, rank by rank, moments marked. Drawn is the
 * stretch with most lines: a server that sleeps or idles for minutes writes none, and a line across such a gap would show
 * what never was.
 */
public final class LogPlot {
    private static final int MOST_LINES = 8;
    private static final int GAP_SECONDS = 30;
    private static final int WIDTH = 1000;
    private static final int HEIGHT = 300;
    private static final Color[] COLOURS = {
        new Color(0x3b6ea8),
        new Color(0xd9822b),
        new Color(0x5a9a63),
        new Color(0xa3567e),
        new Color(0x4fb0ae),
        new Color(0x6d5fa8),
        new Color(0x9a6b45),
        new Color(0xe0b84c)
    };

    private LogPlot() {}

    /**
     * Writes the picture; nothing when the log has no decode lines.
     *
     * @throws LabException IO naming the file
     */
    public static void write(ServerLog log, LogAnalysis analysis, Path file) {
        Map<String, List<BatchLine>> byRank = new LinkedHashMap<>();
        analysis.ranks().forEach(r -> byRank.put(r.rank(), new ArrayList<>()));
        List<BatchLine> drawn = busiestStretch(log);
        if (drawn.isEmpty()) {
            return;
        }
        drawn.forEach(b -> byRank.getOrDefault(b.rank(), new ArrayList<>()).add(b));
        byRank.values().removeIf(List::isEmpty);
        LocalDateTime start = drawn.getFirst().time();
        LocalDateTime end = drawn.getLast().time();
        List<BufferedImage> charts = List.of(
                chart("Running requests", "requests", byRank, start, end, analysis, BatchLine::running),
                chart("KV usage", "share of the pool", byRank, start, end, analysis, BatchLine::usage),
                chart("Generation throughput a rank", "tokens/s", byRank, start, end, analysis, BatchLine::throughput));
        BufferedImage all = new BufferedImage(WIDTH, HEIGHT * charts.size(), BufferedImage.TYPE_INT_RGB);
        Graphics2D g = all.createGraphics();
        for (int i = 0; i < charts.size(); i++) {
            g.drawImage(charts.get(i), 0, i * HEIGHT, null);
        }
        g.dispose();
        try {
            ImageIO.write(all, "png", file.toFile());
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    /** Decode lines by time, from one gap to the next. */
    private static List<BatchLine> busiestStretch(ServerLog log) {
        List<BatchLine> lines = log.batches().stream()
                .filter(BatchLine::isDecode)
                .sorted(java.util.Comparator.comparing(BatchLine::time))
                .toList();
        List<BatchLine> best = List.of();
        int from = 0;
        for (int i = 1; i <= lines.size(); i++) {
            boolean isEnd = i == lines.size()
                    || Duration.between(lines.get(i - 1).time(), lines.get(i).time())
                                    .toSeconds()
                            > GAP_SECONDS;
            if (isEnd) {
                best = i - from > best.size() ? lines.subList(from, i) : best;
                from = i;
            }
        }
        return best;
    }

    private static BufferedImage chart(
            String title,
            String unit,
            Map<String, List<BatchLine>> byRank,
            LocalDateTime start,
            LocalDateTime end,
            LogAnalysis analysis,
            ToDoubleFunction<BatchLine> figure) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title + ", seconds after " + start.toLocalTime())
                .yAxisTitle(unit)
                .build();
        Styler styler = chart.getStyler();
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setSeriesColors(COLOURS);
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setXAxisDecimalPattern("0");
        double top = 0;
        if (byRank.size() <= MOST_LINES) {
            for (Map.Entry<String, List<BatchLine>> rank : byRank.entrySet()) {
                List<BatchLine> lines = rank.getValue();
                double[] x = lines.stream()
                        .mapToDouble(l -> seconds(start, l.time()))
                        .toArray();
                double[] y = lines.stream().mapToDouble(figure).toArray();
                top = Math.max(top, Arrays.stream(y).max().orElse(0));
                chart.addSeries(rank.getKey(), x, y).setMarker(SeriesMarkers.NONE);
            }
        } else {
            top = band(chart, byRank, start, figure);
        }
        mark(chart, "slow_down", start, end, analysis.firstSleep(), top, Color.GRAY);
        mark(chart, "all full", start, end, analysis.fullAt(), top, new Color(0x14713d));
        for (LogAnalysis.Window w : analysis.windows()) {
            mark(chart, "profile " + w.from().toLocalTime(), start, end, w.from(), top, new Color(0xb03030));
        }
        mark(chart, "imbalance", start, end, analysis.imbalanceAt(), top, Color.MAGENTA);
        return BitmapEncoder.getBufferedImage(chart);
    }

    /** Too many ranks for a line each: lowest, middle and highest of each second. */
    private static double band(
            XYChart chart,
            Map<String, List<BatchLine>> byRank,
            LocalDateTime start,
            ToDoubleFunction<BatchLine> figure) {
        TreeMap<Double, List<Double>> bySecond = new TreeMap<>();
        byRank.values()
                .forEach(lines ->
                        lines.forEach(l -> bySecond.computeIfAbsent(seconds(start, l.time()), s -> new ArrayList<>())
                                .add(figure.applyAsDouble(l))));
        double[] x = bySecond.keySet().stream().mapToDouble(Double::doubleValue).toArray();
        String[] names = {"lowest rank", "median rank", "highest rank"};
        double top = 0;
        for (int q = 0; q < 3; q++) {
            double share = q / 2.0;
            double[] y = bySecond.values().stream()
                    .mapToDouble(values -> {
                        double[] sorted = values.stream()
                                .mapToDouble(Double::doubleValue)
                                .sorted()
                                .toArray();
                        return sorted[(int) Math.round(share * (sorted.length - 1))];
                    })
                    .toArray();
            top = Math.max(top, Arrays.stream(y).max().orElse(0));
            chart.addSeries(names[q], x, y).setMarker(SeriesMarkers.NONE);
        }
        return top;
    }

    private static void mark(
            XYChart chart,
            String name,
            LocalDateTime start,
            LocalDateTime end,
            @Nullable LocalDateTime at,
            double top,
            Color colour) {
        if (at != null && !at.isBefore(start) && !at.isAfter(end)) {
            double x = seconds(start, at);
            chart.addSeries(name, new double[] {x, x}, new double[] {0, Math.max(top, 1e-9)})
                    .setMarker(SeriesMarkers.NONE)
                    .setLineColor(colour)
                    .setLineWidth(1.2f);
        }
    }

    private static double seconds(LocalDateTime start, LocalDateTime time) {
        return Duration.between(start, time).toMillis() / 1e3;
    }
}
