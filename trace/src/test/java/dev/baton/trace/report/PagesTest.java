package dev.baton.trace.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.trace.TraceText;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.expert.ExpertAssessment;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.log.LogAnalysis;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.log.LogTimeline;
import dev.baton.trace.log.ServerLog;
import dev.baton.trace.reconcile.ClientRecord;
import dev.baton.trace.reconcile.Throughput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pages need nothing beside themselves, say first what matters, and carry what they were given as text. */
class PagesTest {
    @TempDir
    Path folder;

    private Path out() {
        return folder.resolve("page.html");
    }

    private String page() throws IOException {
        String page = Files.readString(out());
        assertThat(page)
                .startsWith("<!doctype html>")
                .endsWith("</body></html>\n")
                .contains("<div class=\"verdict\">", "</svg>")
                .doesNotContain("http://", "https://", "<script", "NaN", "Infinity", "null");
        return page;
    }

    private ServerLog log(int ranks) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int second = 0; second < 20; second++) {
            for (int line = 0; line < 2; line++) {
                for (int rank = 0; rank < ranks; rank++) {
                    text.append(String.format(
                            Locale.ROOT,
                            "[2025-06-01 10:00:%02d DP%d] Decode batch, #running-req: %d, #token: 1, token usage: 0.10,"
                                    + " cuda graph: True, gen throughput (token/s): %d.00, #queue-req: 0, %n",
                            second,
                            rank,
                            100,
                            1000 + rank));
                }
            }
        }
        text.append("[2025-06-01 10:00:05 DP0] Profiling starts. Traces will be saved to: /tmp (with profile id: 1)\n");
        text.append("[2025-06-01 10:00:07 DP0] Profiling done. Traces are saved to: /tmp\n");
        return LogReader.read(List.of(Files.writeString(folder.resolve("s<&>.log"), text)));
    }

    @Test
    void aLogsPageShowsEveryRankOverTimeAndMarksTheWindow() throws IOException {
        ServerLog log = log(2);
        LogPage.write(log, LogAnalysis.of(log), "Server log: s<&>.log", out());
        assertThat(page())
                .contains("s&lt;&amp;&gt;.log", "are full since 10:00:00.", "profile 10:00:05")
                .contains("<title>DP1</title></polyline>");
    }

    @Test
    void linesOfOneSecondAreLaidOverItAndManyRanksBecomeABand() throws IOException {
        ServerLog log = log(2);
        LogTimeline two = Objects.requireNonNull(LogTimeline.of(log, LogAnalysis.of(log)));
        assertThat(two.series(l -> l.throughput()).get(1).seconds()).startsWith(0, 0.5, 1, 1.5);
        ServerLog many = log(9);
        List<LogTimeline.Series> band = Objects.requireNonNull(LogTimeline.of(many, LogAnalysis.of(many)))
                .series(l -> l.throughput());
        assertThat(band)
                .extracting(LogTimeline.Series::name)
                .containsExactly("lowest rank", "median rank", "highest rank");
        assertThat(band).extracting(s -> s.values()[3]).containsExactly(1000.0, 1004.0, 1008.0);
    }

    @Test
    void aRatesPageSaysWhichToBelieveAndWhatIsRefused() throws IOException {
        TraceText text = new TraceText().rank(0, 8).launch("cudaGraphLaunch", 0, 1, 5);
        text.kernel("gemm", 10, 500, 7, 5).kernel("gemm", 64_510, 500, 7, 5);
        RankSet set = RankAligner.align(TraceFiles.analyse(
                List.of(text.write(folder.resolve("t-TP-0.json"))), KernelRules.builtIn(), new ArrayList<>()));
        Path bench = Files.writeString(
                folder.resolve("bench.jsonl"),
                "{\"duration\": 10.0, \"total_output_tokens\": 24000000, \"output_throughput\": 2400000.0}\n"
                        + "{\"duration\": 10.0, \"total_output_tokens\": 200000, \"output_throughput\": 20000.0}\n");
        Throughput t = Throughput.of(
                set,
                null,
                ClientRecord.read(bench, new ArrayList<>()),
                new Throughput.Known(OptionalDouble.of(2048), OptionalInt.of(8)));
        assertThat(ThroughputReport.rates(t))
                .extracting(ThroughputReport.Rate::isRefused)
                .containsExactly(false, true, false);
        ThroughputReport.page(t, List.of("a < b"), out());
        assertThat(page())
                .contains("A GPU generates 3,938 tokens/s in the traced steps.")
                .contains("Refused: the client&#x27;s 2,400,000 tokens/s".replace("&#x27;", "'"))
                .contains("a &lt; b");
    }

    @Test
    void anExpertsPageNamesTheWorstLayerAndWhatAPlacementGives() throws IOException {
        double[][] counts = new double[5][32];
        for (int layer = 1; layer < 5; layer++) {
            Arrays.fill(counts[layer], 1000);
            counts[layer][7] += 400 * layer;
            counts[layer][9] -= 400;
            counts[layer][10] -= 400 * (layer - 1);
        }
        counts[4][10] = 0;
        counts[4][11] -= 200;
        ExpertAssessment.Question question = new ExpertAssessment.Question(new int[] {8, 3}, new int[] {0, 8}, 1, 1, 8);
        ExpertAssessment a = ExpertAssessment.of(
                new ExpertCounts("load.json", counts, 1), question, new ExpertAssessment.TracedStep(50, 20, 8, 0.8));
        assertThat(a.faults()).isEmpty();
        assertThat(a.whatIf()).hasSize(2);
        assertThat(a.layers()).hasSize(4);
        assertThat(a.bySkew().getFirst().balancedness()[1]).isNaN();
        ExpertReport.page(List.of(a), question.gpus(), List.of(), out());
        assertThat(page())
                .contains("worst is layer 4, where expert 7 gets 2.60 times the mean")
                .contains("The traced step of 50.00 ms (EP 8, balancedness 0.800) would take")
                .contains("How sure: 32,000 routed tokens a layer");
        assertThat(ExpertReport.text(a)).contains("load.json: 5 layers, 4 of them with experts");
        ExpertAssessment nothing =
                ExpertAssessment.of(new ExpertCounts("zero.pt", new double[2][8], 1), question, null);
        assertThat(ExpertReport.verdict(nothing)).hasSize(1).first().asString().startsWith("Do not plan a placement");
    }
}
