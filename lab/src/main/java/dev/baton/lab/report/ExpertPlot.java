package dev.baton.lab.report;

import dev.baton.lab.LabException;
import dev.baton.trace.expert.ExpertAssessment;
import dev.baton.trace.expert.WhatIf;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;

/** A recording's unevenness by layer, and what placements would give, as a picture. */
public final class ExpertPlot {
    private ExpertPlot() {}

    /**
     * Writes the picture; nothing when the recording is all zero.
     *
     * @throws LabException IO naming the file
     */
    public static void write(ExpertAssessment assessment, Path file) {
        if (assessment.layers().isEmpty()) {
            return;
        }
        List<CategoryChart> charts = new ArrayList<>(List.of(layers(assessment)));
        if (!assessment.whatIf().isEmpty()) {
            charts.add(placements(assessment));
        }
        Pictures.write(charts, file);
    }

    private static CategoryChart layers(ExpertAssessment a) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(Pictures.WIDTH)
                .height(330)
                .title("Hottest expert over the mean of its layer")
                .xAxisTitle("layer")
                .yAxisTitle("times the mean")
                .build();
        Pictures.style(chart.getStyler());
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setXAxisMaxLabelCount(20);
        chart.addSeries(
                "max / mean",
                a.layers().stream().map(ExpertAssessment.Layer::number).toList(),
                a.layers().stream().map(ExpertAssessment.Layer::skew).toList());
        return chart;
    }

    private static CategoryChart placements(ExpertAssessment a) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(Pictures.WIDTH)
                .height(380)
                .title("Balancedness: mean GPU over busiest GPU (1 is perfect)")
                .xAxisTitle("EP size + redundant experts")
                .yAxisTitle("balancedness")
                .build();
        Pictures.style(chart.getStyler());
        chart.getStyler().setYAxisMax(1.0);
        chart.getStyler().setYAxisMin(0.0);
        List<String> names =
                a.whatIf().stream().map(w -> w.gpus() + " + " + w.redundant()).toList();
        chart.addSeries(
                "in order", names, a.whatIf().stream().map(WhatIf::trivial).toList());
        chart.addSeries("EPLB", names, a.whatIf().stream().map(WhatIf::balanced).toList());
        return chart;
    }
}
