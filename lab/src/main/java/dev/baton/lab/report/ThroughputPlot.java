package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.trace.reconcile.Throughput;
import dev.baton.trace.report.ThroughputReport;
import java.awt.Color;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;

/** The three sides' rates as a picture; a refused one is red. */
public final class ThroughputPlot {
    private ThroughputPlot() {}

    /**
     * Writes the picture; nothing when there is no rate of a GPU.
     *
     * @throws LabException IO naming the file
     */
    public static void write(Throughput throughput, Path file) {
        List<ThroughputReport.Rate> rates = ThroughputReport.rates(throughput);
        if (rates.isEmpty()) {
            return;
        }
        CategoryChart chart = new CategoryChartBuilder()
                .width(Pictures.WIDTH)
                .height(420)
                .title("Output tokens/s of one GPU")
                .yAxisTitle("tokens/s")
                .build();
        Pictures.style(chart.getStyler());
        chart.getStyler().setSeriesColors(new Color[] {new Color(0x3b6ea8), new Color(0xb03030)});
        chart.getStyler().setStacked(true);
        chart.getStyler().setAvailableSpaceFill(0.5);
        chart.getStyler().setLabelsVisible(true);
        chart.getStyler().setLabelsFontColor(Color.WHITE);
        chart.getStyler().setYAxisDecimalPattern("#,##0");
        List<String> names = rates.stream().map(ThroughputReport.Rate::name).toList();
        chart.addSeries(
                "stands",
                names,
                rates.stream()
                        .map(r -> r.isRefused() ? null : r.tokensPerSecond())
                        .toList());
        chart.getStyler().setLegendVisible(false);
        if (rates.stream().anyMatch(ThroughputReport.Rate::isRefused)) {
            chart.getStyler().setLegendVisible(true);
            chart.addSeries(
                    "refused",
                    names,
                    rates.stream()
                            .map(r -> r.isRefused() ? r.tokensPerSecond() : null)
                            .toList());
        }
        Pictures.write(List.of(chart), file);
    }
}
