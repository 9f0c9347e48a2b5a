package dev.baton.trace.align;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.TraceText;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.report.AnalysisJson;
import dev.baton.trace.report.AnalysisPage;
import dev.baton.trace.report.AnalysisText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class RankAlignerTest {
    private static final int COLLECTIVES = 10;

    @TempDir
    Path folder;

    /** Rank 2 computes 300 us where the others compute 100; all leave a collective 20 us after the last arrival. */
    private void ranks(double skewMicros, int firstOfRank1) throws IOException {
        for (int rank = 0; rank < 3; rank++) {
            TraceText text = new TraceText().rank(rank, 4);
            double clock = rank == 1 ? skewMicros : 0;
            for (int k = rank == 1 ? firstOfRank1 : 0; k < COLLECTIVES; k++) {
                double at = 1000 * k + clock;
                double compute = (rank == 2 ? 300 : 100) + 7 * ((k * 5) % 3);
                text.kernel("gemm", at, compute, 7, 1)
                        .kernel("ncclDevKernel_AllReduce_Sum", at + compute, 300 + 14 + 20 - compute, 9, 2);
            }
            text.write(folder.resolve("x-TP-" + rank + ".trace.json"));
        }
    }

    private RankSet align(List<String> notes) {
        RankSet set =
                RankAligner.align(TraceFiles.analyse(TraceFiles.find(List.of(folder)), KernelRules.builtIn(), notes));
        notes.addAll(set.notes());
        return set;
    }

    @Test
    void namesTheStragglerAndWhatItDid() throws IOException {
        ranks(0, 0);
        RankSet set = align(new ArrayList<>());
        assertThat(set.collectives()).hasSize(COLLECTIVES);
        Straggler slow = set.stragglers().get(2);
        assertThat(slow.timesLast()).isEqualTo(COLLECTIVES);
        assertThat(slow.waitCausedNanos()).isEqualTo(2 * COLLECTIVES * 200_000L);
        assertThat(slow.waitedNanos()).isZero();
        assertThat(slow.cause()).isEqualTo("GEMM");
        assertThat(slow.causeNanos()).isEqualTo(COLLECTIVES * 200_000L);
        Collective c = set.collectives().getFirst();
        assertThat(c.startSpreadNanos()).isEqualTo(200_000);
        assertThat(c.endSpreadNanos()).isZero();
        assertThat(c.waitNanos(c.calls().getFirst())).isEqualTo(200_000);
        assertThat(c.transferNanos(c.calls().getFirst())).isEqualTo(34_000);
        assertThat(set.notes()).anyMatch(n -> n.startsWith("3 of 4 ranks are here"));
    }

    @Test
    void aClockThatIsOffIsTakenOutAndSaid() throws IOException {
        ranks(5000, 0);
        RankSet set = align(new ArrayList<>());
        assertThat(set.clocks().get(1).isCorrected()).isTrue();
        assertThat(set.clocks().get(1).offsetNanos()).isEqualTo(5_000_000);
        assertThat(set.stragglers().get(2).timesLast()).isEqualTo(COLLECTIVES);
        assertThat(set.collectives().getFirst().startSpreadNanos()).isEqualTo(200_000);
        assertThat(set.notes()).anyMatch(n -> n.contains("the clock of rank 1 stands +5000.0 us"));
    }

    @Test
    void aRankThatBeganLaterIsMatchedWhereEndsAgree() throws IOException {
        ranks(0, 3);
        RankSet set = align(new ArrayList<>());
        Collective fourth = set.collectives().get(3);
        assertThat(fourth.calls()).hasSize(3);
        assertThat(fourth.startSpreadNanos()).isEqualTo(200_000);
        assertThat(set.collectives().getFirst().calls()).hasSize(2);
    }

    @Test
    void replicasAreNotMatchedWithEachOther() throws IOException {
        for (int replica = 0; replica < 2; replica++) {
            for (int rank = 0; rank < 2; rank++) {
                TraceText text = new TraceText().rank(rank, 2);
                for (int k = 0; k < 5; k++) {
                    text.kernel("ncclDevKernel_AllReduce_Sum", 1000 * k + 400 * replica + 10 * rank, 50, 9, 2);
                }
                text.write(folder.resolve("x-TP-" + rank + "-DP-" + replica + ".trace.json"));
            }
        }
        RankSet set = align(new ArrayList<>());
        assertThat(set.collectives()).hasSize(10).allSatisfy(c -> {
            assertThat(c.calls()).hasSize(2);
            assertThat(c.startSpreadNanos()).isEqualTo(10_000);
        });
        assertThat(set.notes()).anyMatch(n -> n.contains("these are replicas"));
    }

    @Test
    void reportsHoldWhatWasFound() throws IOException {
        ranks(0, 0);
        Files.writeString(
                folder.resolve("host.json"),
                new TraceText().annotation("only host", 1, 2).json());
        List<String> notes = new ArrayList<>();
        RankSet set = align(notes);
        assertThat(notes).anyMatch(n -> n.startsWith("host.json: no device events"));
        assertThat(AnalysisText.ranks(set, notes)).contains("rank 2 is last to arrive in 10 of 10 collectives");
        assertThat(AnalysisText.analysis(set, notes, 3)).contains("ncclDevKernel_AllReduce_Sum");
        Path html = folder.resolve("out.html");
        AnalysisPage.write(set, notes, "A <title>", html);
        assertThat(html).content().contains("A &lt;title&gt;", "Who waits for whom", "<svg");
        Path json = folder.resolve("out.txt");
        AnalysisJson.write(set, notes, json);
        JsonNode tree = JsonMapper.shared().readTree(json.toFile());
        JsonNode step = tree.at("/ranks/0/steps/0");
        for (String key : List.of(
                "kind",
                "name",
                "ms",
                "kernels",
                "compute_ms",
                "comm_ms",
                "overlap_ms",
                "exposed_ms",
                "idle_ms",
                "dispatch_ms",
                "combine_ms")) {
            assertThat(step.has(key)).as(key).isTrue();
        }
        assertThat(tree.at("/collectives/0/last_rank").asInt()).isEqualTo(2);
        assertThat(tree.at("/collectives/0/start_spread_us").asDouble()).isCloseTo(200, within(1e-9));
        assertThat(tree.at("/stragglers/2/wait_caused_ms").asDouble()).isCloseTo(4, within(1e-9));
        assertThat(tree.at("/stragglers/2/times_last").asInt()).isEqualTo(10);
    }
}
