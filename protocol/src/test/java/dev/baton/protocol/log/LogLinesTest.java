package dev.baton.protocol.log;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class LogLinesTest {
    private static final String REAL_DECODE = "[2025-11-22 18:06:33 DP0 TP0 EP0] Decode batch, #running-req: 1, "
            + "#token: 64, token usage: 0.00, pre-allocated usage: 0.00, #prealloc-req: 0, #transfer-req: 0, "
            + "#retracted-req: 0, cuda graph: True, gen throughput (token/s): 8.43, #queue-req: 0, ";

    @Test
    void aDecodeLineOfADecodeServerReadsBackExactly() {
        LogPrefix.Line line = LogPrefix.parse(REAL_DECODE).orElseThrow();
        assertThat(line.prefix().time()).isEqualTo(LocalDateTime.of(2025, 11, 22, 18, 6, 33));
        assertThat(line.prefix().rank()).isEqualTo(new RankLabel(0, -1, 0, 0));
        DecodeLine decode = DecodeLine.parse(line.message()).orElseThrow();
        assertThat(decode)
                .isEqualTo(new DecodeLine(1, 64, 0, new DecodeLine.DecodeRole(0, 0, 0, 0), true, true, 8.43, 0));
        assertThat(line.prefix().format() + decode.format()).isEqualTo(REAL_DECODE);
    }

    @Test
    void aPlainDecodeLineNamesTheCpuGraph() {
        DecodeLine line = new DecodeLine(12, 3456, 0.345, null, false, false, 123.456, 7);
        assertThat(line.format())
                .isEqualTo("Decode batch, #running-req: 12, #token: 3456, token usage: 0.34, cpu graph: False, "
                        + "gen throughput (token/s): 123.46, #queue-req: 7, ");
        assertThat(DecodeLine.parse(line.format()))
                .contains(new DecodeLine(12, 3456, 0.34, null, false, false, 123.46, 7));
    }

    @Test
    void prefillLinesReadBackExactly() {
        PrefillLine plain = new PrefillLine(3, 4096, 17, 0.5, 2, 9, null);
        assertThat(plain.format())
                .isEqualTo("Prefill batch, #new-seq: 3, #new-token: 4096, #cached-token: 17, token usage: 0.50, "
                        + "#running-req: 2, #queue-req: 9, ");
        assertThat(PrefillLine.parse(plain.format())).contains(plain);

        PrefillLine role = new PrefillLine(3, 4096, 17, 0.5, 0, 9, new PrefillLine.PrefillRole(4, 5, 12.25));
        assertThat(role.format())
                .isEqualTo(plain.format().replace("#running-req: 2", "#running-req: 0")
                        + "#prealloc-req: 4, #inflight-req: 5, input throughput (token/s): 12.25, ");
        assertThat(PrefillLine.parse(role.format())).contains(role);
    }

    @Test
    void linesOfOlderVersionsAndWithIterationNumbersAreRead() {
        String old = "[2025-06-01 10:00:00 TP3] Decode batch. #running-req: 5, #token: 70, token usage: 0.10, "
                + "cuda graph: False, gen throughput (token/s): 9.00, #queue-req: 1, ";
        assertThat(DecodeLine.parse(old)).contains(new DecodeLine(5, 70, 0.1, null, true, false, 9, 1));
        assertThat(PrefillLine.parse("Prefill batch. #new-seq: 1, #new-token: 6, #cached-token: 0, token usage: 0.00, "
                        + "#running-req: 0, #queue-req: 0, "))
                .contains(new PrefillLine(1, 6, 0, 0, 0, 0, null));
        assertThat(PrefillLine.parse("Prefill batch [17], #new-seq: 1, #new-token: 6, #cached-token: 0, "
                        + "token usage: 0.00, #running-req: 0, #queue-req: 0, "))
                .contains(new PrefillLine(1, 6, 0, 0, 0, 0, null));
    }

    @Test
    void otherLinesAreNotMistakenForBatches() {
        for (String line : List.of("", "Decode batch", "Decode batches are fine, #running-req: 3", "[x] hello")) {
            assertThat(DecodeLine.parse(line)).isEmpty();
            assertThat(PrefillLine.parse(line)).isEmpty();
            assertThat(LogPrefix.parse(line)).isEmpty();
        }
    }

    @Test
    void roundsAsPythonDoes() {
        assertThat(LogFields.fixed(0.125, 2)).isEqualTo("0.12");
        assertThat(LogFields.fixed(0.375, 2)).isEqualTo("0.38");
        assertThat(LogFields.fixed(2.675, 2)).isEqualTo("2.67");
        assertThat(LogFields.fixed(0, 2)).isEqualTo("0.00");
        assertThat(LogFields.fixed(Double.NaN, 2)).isEqualTo("nan");
    }

    @Test
    void retractAndSleepLinesReadBack() {
        RetractLine retract = new RetractLine(2, 0.5712, 1);
        assertThat(retract.format())
                .isEqualTo("KV cache pool is full. Retract requests. #retracted_reqs: 2, "
                        + "#new_token_ratio: 0.5712 -> 1.0000");
        assertThat(RetractLine.parse("[2025-11-22 18:06:33] " + retract.format()))
                .contains(retract);
        assertThat(new SleepLine(180).format()).isEqualTo("Scheduler.run_batch sleep 180.0s");
        assertThat(new SleepLine(0.0001).format()).isEqualTo("Scheduler.run_batch sleep 0.0001s");
        assertThat(SleepLine.parse("[2025-11-22 18:15:20 DP0 TP0 EP0] Scheduler.run_batch sleep 180.0s"))
                .contains(new SleepLine(180));
    }

    @Test
    void everyBatchLineOfRealLogsReadsBackToTheSameText() throws IOException {
        Path folder = fixtures().resolve("real/gb200");
        assumeTrue(Files.isDirectory(folder), "no logs of a real server under " + folder);
        int lines = 0;
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".log")).toList()) {
                for (String line : Files.readAllLines(file)) {
                    if (line.contains("] Decode batch") || line.contains("] Prefill batch")) {
                        LogPrefix.Line cut = LogPrefix.parse(line).orElseThrow();
                        String again = cut.message().startsWith("Decode")
                                ? DecodeLine.parse(line).orElseThrow().format()
                                : PrefillLine.parse(line).orElseThrow().format();
                        assertThat(cut.prefix().format() + again).isEqualTo(line);
                        lines++;
                    }
                }
            }
        }
        assertThat(lines).isGreaterThan(100);
    }

    /** Recorded material beside the checkout, or where {@code BATON_FIXTURES} says. */
    private static Path fixtures() {
        String named = System.getenv("BATON_FIXTURES");
        Path root = Path.of(System.getProperty("baton.root", "."));
        return named != null
                ? Path.of(named)
                : root.resolve("../shared/fixtures").normalize();
    }
}
