package dev.baton.lab.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.lab.report.Summary.RankSteps;
import dev.baton.lab.report.Summary.Spread;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
    @TempDir
    Path folder;

    @Test
    void tableHasMedianRangeAndVerdict() {
        String table = SummaryTable.render(summary());
        assertThat(table.replaceAll(" +", " "))
                .contains("output tokens/s 100.0 [90.0..110.0] 150.0 [140.0..160.0]")
                .contains("answers right 98.0% -")
                .contains("decode TP-0 full-batch tok/s - 4000 (bs 16, 4.0 ms)")
                .contains("output_throughput: a 100.0, b<c 150.0 (x1.50), larger than the spread of the repeats")
                .contains("mean_ttft_ms: a 10.00, b<c 11.00 (x1.10), within the spread of the repeats")
                .contains("note: one thing to know")
                .contains("Conclusion:")
                .contains(
                        "yes: output_throughput of b<c is 150.0, x1.50 of a's 100.0 (expected at least x1.4): it pays.\n")
                .contains(
                        "no: mean_ttft_ms of b<c is 11.00, x1.10 of a's 10.00 (expected at most x1.05): later. (The repeats")
                .contains("expert balancedness - 0.800")
                .contains("no: expert_balancedness of b<c is 0.8000, over 1 repeat(s) (expected at least 0.9): uneven.")
                .contains("no: full_batch_step_ms of b<c is 4.000, which a does not have, so nothing follows");
    }

    @Test
    void pageIsSelfContainedAndEscaped() throws IOException {
        List<Path> plots = Plots.write(summary(), folder);
        assertThat(plots)
                .extracting(p -> p.getFileName().toString())
                .containsExactly(
                        "throughput_by_tag.png", "e2e_latency_by_tag.png", "step_times.png", "expert_loads.png");
        for (Path plot : plots) {
            assertThat(ImageIO.read(plot.toFile()).getWidth()).isEqualTo(760);
        }
        String page = Files.readString(
                HtmlReport.write(summary(), plots, Map.of("environment.json", "{\"a\": \"<b>\"}"), folder));
        assertThat(page)
                .contains("b&lt;c")
                .doesNotContain("b<c")
                .contains("&lt;b&gt;")
                .contains("<h2>Conclusion</h2>")
                .contains("of b&lt;c is 150.0, x1.50 of a")
                .contains("<td>0.800</td><td class=\"range\">1.25 0.75 </td>")
                .contains("yes: larger than the spread")
                .contains("no: within the spread");
        assertThat(page)
                .doesNotContain("src=\"http")
                .doesNotContain("href=\"http")
                .contains("data:image/png;base64,");
    }

    private static Summary summary() {
        List<Summary.Cell> cells = List.of(
                cell("a", 0.98, List.of(), List.of(), Spread.of(90, 110, 100), Spread.of(9, 10, 12)),
                cell(
                        "b<c",
                        null,
                        List.of(new RankSteps(1, "decode", "TP-0", 16, new double[] {4, 3.9, 4.2}, 4, 4000, 3800.0)),
                        List.of(new Summary.ExpertLoad(1, "decode", 40, 0.8, new double[] {1.25, 0.75})),
                        Spread.of(150, 140, 160),
                        Spread.of(11, 10.5, 11.5)));
        return new Summary(
                "trial",
                "asks",
                "2026-01-01T00:00:00Z",
                12,
                "a",
                cells,
                Summaries.compare("a", cells),
                List.of("one thing to know"),
                Expectation.judge(
                        List.of(
                                expected(
                                        "output_throughput",
                                        new Expectation.Bounds(1.4, null),
                                        "it pays.",
                                        "it does not pay."),
                                expected("mean_ttft_ms", new Expectation.Bounds(null, 1.05), "as soon.", "later."),
                                new Expectation(
                                        "expert_balancedness",
                                        "b<c",
                                        Expectation.Bounds.NONE,
                                        new Expectation.Bounds(0.9, null),
                                        "even.",
                                        "uneven."),
                                expected("full_batch_step_ms", new Expectation.Bounds(null, 1.0), "short.", "long.")),
                        "a",
                        cells));
    }

    private static Expectation expected(String metric, Expectation.Bounds ratio, String holds, String fails) {
        return new Expectation(metric, "b<c", ratio, Expectation.Bounds.NONE, holds, fails);
    }

    private static Summary.Cell cell(
            String name,
            Double accuracy,
            List<RankSteps> ranks,
            List<Summary.ExpertLoad> experts,
            Spread throughput,
            Spread latency) {
        return new Summary.Cell(
                name,
                3,
                30,
                0,
                throughput,
                throughput,
                latency,
                latency,
                latency,
                latency,
                latency,
                latency,
                latency,
                latency,
                accuracy,
                Map.of(),
                ranks,
                experts);
    }
}
