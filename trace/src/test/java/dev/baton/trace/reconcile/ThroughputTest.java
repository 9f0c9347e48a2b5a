package dev.baton.trace.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceText;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.log.LogReader;
import dev.baton.trace.log.ServerLog;
import dev.baton.trace.report.ThroughputReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ThroughputTest {
    private static final Throughput.Known NOTHING = new Throughput.Known(OptionalDouble.empty(), OptionalInt.empty());

    @TempDir
    Path folder;

    private RankSet steps(double millis) throws IOException {
        TraceText text = new TraceText().rank(0, 8).launch("cudaGraphLaunch", 0, 1, 5);
        text.kernel("gemm", 10, 500, 7, 5).kernel("gemm", 10 + 1000 * millis - 500, 500, 7, 5);
        return load(text.write(folder.resolve("t-TP-0.json")));
    }

    private static RankSet load(Path path) {
        return RankAligner.align(
                TraceFiles.analyse(TraceFiles.find(List.of(path)), KernelRules.builtIn(), new ArrayList<>()));
    }

    @Test
    void theRecipesExampleByHand() throws IOException {
        Throughput t = Throughput.of(
                steps(65), null, List.of(), new Throughput.Known(OptionalDouble.of(2048), OptionalInt.of(8)));
        assertThat(t.fromTrace()).isCloseTo(3938, within(1.0));
        assertThat(ThroughputReport.text(t)).contains("2,048 requests / 65.00 ms a step / 8 GPU(s) = 3,938 tok/s/GPU");
    }

    @Test
    void theImpossibleIsRefusedAndTheOrdinaryExplained() throws IOException {
        Path file = Files.writeString(folder.resolve("bench.jsonl"), """
                {"duration": 10.0, "total_output_tokens": 24000000, "output_throughput": 2400000.0, "request_rate": Infinity}
                {"duration": 10.0, "total_output_tokens": 200000, "output_throughput": 20000.0}
                {"duration": 10.0, "total_output_tokens": 100, "output_throughput": 20000.0}
                {"duration": 100.0, "total_output_tokens": 2000000, "output_throughput": 20000.0, "concurrency": 10, "median_itl_ms": 50}
                oops
                """);
        List<String> notes = new ArrayList<>();
        List<ClientRecord> records = ClientRecord.read(file, notes);
        assertThat(notes).containsExactly("bench.jsonl line 5 is no JSON");
        Throughput t = Throughput.of(
                steps(65), null, records, new Throughput.Known(OptionalDouble.of(2048), OptionalInt.of(8)));
        assertThat(t.clients().get(0).refusal()).contains("times what the GPUs produced");
        assertThat(t.clients().get(1).refusal()).isEmpty();
        assertThat(t.clients().get(2).refusal()).contains("100 tokens in 10.00 s are 10");
        assertThat(t.clients().get(3).refusal()).contains("10 requests at 50.00 ms a token");
        assertThat(t.explanations()).anyMatch(e -> e.contains("sees 63% of what full steps produce"));
    }

    @Test
    void traceAndLogOfTheRealRunAgreeOrTheProfilerExplainsIt() {
        Throughput one = real("gb200/1.fp4_sbo_eplb", "launch_server_decode_grep_DP0.log");
        assertThat(one.fromTrace()).isCloseTo(13_180, within(0.005 * 13_180));
        assertThat(one.explanations()).anyMatch(e -> e.startsWith("Trace and log agree within"));
        Throughput two = real("gb200/2.fp4_wo-sbo_eplb", "launch_server_decode_node_rank_0.log");
        assertThat(two.fromTrace()).isCloseTo(12_118, within(0.005 * 12_118));
        assertThat(two.gpusPerRank()).isEqualTo(1);
        assertThat(two.explanations()).anyMatch(e -> e.contains("the profiler's cost"));
    }

    private static Throughput real(String folder, String log) {
        Path at = RealFiles.get(folder);
        ServerLog lines = LogReader.read(List.of(at.resolve(log)));
        return Throughput.of(load(at), lines, List.of(), NOTHING);
    }
}
