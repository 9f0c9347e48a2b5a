package dev.baton.trace.log;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.RankCoordinates;
import dev.baton.trace.RealFiles;
import dev.baton.trace.report.LogReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalTime;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LogAnalysisTest {
    @TempDir
    Path folder;

    private Path log(String text) throws IOException {
        return Files.writeString(folder.resolve("server.log"), text);
    }

    @Test
    void readsEveryVersionsLines() throws IOException {
        Path file = log("""
                0: [2025-06-01 10:00:00 TP3] Decode batch. #running-req: 5, #token: 70, token usage: 0.10, cuda graph: True, gen throughput (token/s): 11.50, #queue-req: 1, \s
                [2025-06-01 10:00:01.250 DP2 TP2 EP2] Decode batch [41], #running-req: 6, #full token: 70, full token usage: 0.20, #swa token: 3, swa token usage: 0.10, accept len: 2.50, accept rate: 0.60, npu graph: True, gen throughput (token/s): 20.00, #queue-req: 0,\s
                [2025-06-01 10:00:02 PP1 TP0] Prefill batch, #new-seq: 2, #new-token: 300, #cached-token: 0, token usage: 0.00, #running-req: 0, #queue-req: 4, #pending-token: 9, #bootstrap-req: 1, #inflight-req: 0, input throughput (token/s): 99.00,\s
                [2025-13-41 10:00:02] Decode batch, #running-req: 1,
                not a line of a server
                """);
        ServerLog log = LogReader.read(List.of(file));
        assertThat(log.lines()).isEqualTo(5);
        assertThat(log.batches()).hasSize(3);
        assertThat(log.batches().get(0).rank()).isEqualTo("TP3");
        assertThat(log.batches().get(0).throughput()).isEqualTo(11.5);
        assertThat(log.batches().get(1).running()).isEqualTo(6);
        assertThat(log.batches().get(1).usage()).isEqualTo(0.2);
        assertThat(log.batches().get(1).acceptLength()).isEqualTo(2.5);
        assertThat(log.batches().get(2).isDecode()).isFalse();
        assertThat(log.batches().get(2).throughput()).isEqualTo(99);
    }

    @Test
    void numbersThatAreNoneAreLeftOut() throws IOException {
        Path file = log("""
                [2025-06-01 10:00:00 DP0] Scheduler.run_batch sleep 180.00.0s
                [2025-06-01 10:00:00 DP99999999999] Decode batch, #running-req: 5, #token: 7,
                [2025-06-01 10:00:01 DP0] Retract requests. #retracted_reqs: 99999999999, #new_token_ratio: 0.1.2 -> 0.3
                [2025-06-01 10:00:02 DP0] Scheduler.run_batch sleep 1.5E-4s
                """);
        ServerLog log = LogReader.read(List.of(file));
        assertThat(log.batches()).isEmpty();
        assertThat(log.events()).hasSize(1);
        assertThat(RankCoordinates.mergeLabel("5-TP-99999999999999.trace.json")).isEqualTo("[TP999999] ");
    }

    @Test
    void findsWhenRanksDriftApart() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int second = 0; second < 30; second++) {
            for (int rank = 0; rank < 2; rank++) {
                int running = rank == 1 && second >= 12 ? 50 : 100;
                text.append(String.format(
                        Locale.ROOT,
                        "[2025-06-01 10:00:%02d DP%d] Decode batch, #running-req: %d, #token: 1, token usage: 0.10,"
                                + " cuda graph: True, gen throughput (token/s): 10.00, #queue-req: 0, %n",
                        second,
                        rank,
                        running));
            }
        }
        LogAnalysis a = LogAnalysis.of(LogReader.read(List.of(log(text.toString()))));
        assertThat(a.cap()).isEqualTo(100);
        assertThat(a.imbalanceAt()).isNotNull();
        assertThat(a.imbalanceAt().toLocalTime()).isEqualTo(LocalTime.of(10, 0, 12));
        assertThat(LogReport.text(a)).contains("Imbalance since 10:00:12");
    }

    @Test
    void aLogWithoutBatchesSaysSo() throws IOException {
        LogAnalysis a = LogAnalysis.of(LogReader.read(List.of(log("hello\n"))));
        assertThat(a.notes()).anyMatch(n -> n.startsWith("no batch lines"));
        assertThat(LogReport.text(a)).startsWith("No decode lines");
    }

    @Test
    void goldenValuesOfTheRealLogs() throws IOException {
        ServerLog two =
                LogReader.read(List.of(RealFiles.get("gb200/2.fp4_wo-sbo_eplb/launch_server_decode_node_rank_0.log")));
        LogAnalysis a = LogAnalysis.of(two);
        assertThat(two.lines()).isEqualTo(1193);
        assertThat(two.arguments()).containsEntry("tp_size", "48").containsEntry("dp_size", "48");
        assertThat(a.ranks()).extracting(LogAnalysis.RankRow::decodeLines).containsExactly(199, 200, 200, 200);
        assertThat(a.ranks()).extracting(LogAnalysis.RankRow::sleeps).containsExactly(3, 3, 3, 3);
        LogAnalysis.RankRow dp0 = a.ranks().getFirst();
        assertThat(dp0.fullLines()).isEqualTo(191);
        assertThat(dp0.medianFull()).isCloseTo(12_583, within(1.0));
        assertThat(dp0.medianInWindow()).isCloseTo(12_003, within(1.0));
        assertThat(dp0.inWindowLines()).isEqualTo(21);
        assertThat(dp0.medianAfterWindow()).isCloseTo(12_678, within(1.0));
        assertThat(dp0.afterWindowLines()).isEqualTo(137);
        assertThat(a.windows()).hasSize(1);
        assertThat(a.windows().getFirst().from().toLocalTime()).isEqualTo(LocalTime.of(18, 24, 26));
        assertThat(a.windows().getFirst().to().toLocalTime()).isEqualTo(LocalTime.of(18, 24, 30));
        assertThat(two.events())
                .anyMatch(e -> e.kind() == LogEvent.Kind.SLOW_DOWN
                        && e.time().toLocalTime().equals(LocalTime.of(18, 7, 13)));

        ServerLog one =
                LogReader.read(List.of(RealFiles.get("gb200/1.fp4_sbo_eplb/launch_server_decode_grep_DP0.log")));
        LogAnalysis b = LogAnalysis.of(one);
        assertThat(one.lines()).isEqualTo(375);
        assertThat(b.ranks().getFirst().decodeLines()).isEqualTo(286);
        assertThat(b.ranks().getFirst().fullLines()).isEqualTo(278);
        assertThat(b.ranks().getFirst().medianFull()).isCloseTo(13_086, within(1.0));
        assertThat(b.ranks().getFirst().medianAfterWindow()).isCloseTo(13_151, within(1.0));
        assertThat(b.ranks().getFirst().afterWindowLines()).isEqualTo(151);
        Path jsonl = folder.resolve("o.jsonl");
        LogReport.jsonl(one, jsonl);
        assertThat(Files.readAllLines(jsonl)).hasSize(one.batches().size());
    }
}
