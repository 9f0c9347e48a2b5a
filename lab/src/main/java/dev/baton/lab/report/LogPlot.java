package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.trace.log.BatchLine;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.LogTimeline;
import dev.baton.trace.log.ServerLog;
import java.awt.Color;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** A server's decode lines over time: running requests, KV usage and throughput, rank by rank, moments marked. */
public final class LogPlot {
    private static final int HEIGHT = 300;

    private LogPlot() {}

    /**
     * Writes the picture; nothing when the log has no decode lines.
     *
     * @throws LabException IO naming the file
     */
    public static void write(ServerLog log, LogAnalysis analysis, Path file) {
        LogTimeline timeline = LogTimeline.of(log, analysis);
        if (timeline == null) {
            return;
        }
        Pictures.write(
                List.of(
                        chart("Running requests", "requests", timeline, BatchLine::running),
                        chart("KV usage", "share of the pool", timeline, BatchLine::usage),
                        chart("Generation throughput a rank", "tokens/s", timeline, BatchLine::throughput)),
                file);
    }

    private static XYChart chart(String title, String unit, LogTimeline timeline, ToDoubleFunction<BatchLine> figure) {
        XYChart chart = new XYChartBuilder()
                .width(Pictures.WIDTH)
                .height(HEIGHT)
                .title(title + ", seconds after " + timeline.startTime())
                .yAxisTitle(unit)
                .build();
        Pictures.style(chart.getStyler());
        chart.getStyler().setYAxisMin(0.0);
        chart.getStyler().setXAxisDecimalPattern("0");
        double top = 1e-9;
        for (LogTimeline.Series series : timeline.series(figure)) {
            top = Math.max(top, Arrays.stream(series.values()).max().orElse(0));
            chart.addSeries(series.name(), series.seconds(), series.values()).setMarker(SeriesMarkers.NONE);
        }
        for (LogTimeline.Mark mark : timeline.marks()) {
            chart.addSeries(mark.label(), new double[] {mark.seconds(), mark.seconds()}, new double[] {0, top})
                    .setMarker(SeriesMarkers.NONE)
                    .setLineColor(colour(mark.event()))
                    .setLineWidth(1.2f);
        }
        return chart;
    }

    private static Color colour(LogTimeline.Event event) {
        return switch (event) {
            case SLOW_DOWN -> Color.GRAY;
            case FULL -> new Color(0x14713d);
            case PROFILE -> new Color(0xb03030);
            case IMBALANCE -> Color.MAGENTA;
        };
    }
}
