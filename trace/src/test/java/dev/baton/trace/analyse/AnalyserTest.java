package dev.baton.trace.analyse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import dev.baton.trace.TraceText;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Trace;
import dev.baton.trace.read.TraceReader;
import dev.baton.trace.step.StepKind;
import dev.baton.trace.step.Work;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AnalyserTest {
    @TempDir
    Path folder;

    @Test
    void countsTimeOnceAndTellsExposedFromOverlapped() throws IOException {
        RankAnalysis r = analyse(new TraceText()
                .launch("cudaGraphLaunch", 0, 5, 9)
                .kernel("nvjet_gemm", 100, 50, 7, 9)
                .kernel("nvjet_gemm", 120, 10, 8, 9)
                .kernel("deep_ep::internode_ll::dispatch<1>", 140, 30, 9, 9)
                .kernel("ncclDevKernel_AllReduce_Sum", 200, 20, 9, 9)
                .kernel("outside", 900, 20, 7, 10));
        assertThat(r.stepKind()).isEqualTo(StepKind.GRAPH_REPLAY);
        StepMetrics s = r.steps().getFirst();
        assertThat(s.kernels()).isEqualTo(4);
        assertThat(s.step().durationNanos()).isEqualTo(120_000);
        assertThat(s.computeNanos()).isEqualTo(50_000);
        assertThat(s.commNanos()).isEqualTo(50_000);
        assertThat(s.overlapNanos()).isEqualTo(10_000);
        assertThat(s.exposedNanos()).isEqualTo(40_000);
        assertThat(s.idleNanos()).isEqualTo(30_000);
        assertThat(s.dispatchNanos()).isEqualTo(30_000);
        assertThat(s.allReduceNanos()).isEqualTo(20_000);
        assertThat(r.classes().getFirst()).isEqualTo(new ClassTotal(KernelClass.GEMM, 2, 60_000, List.of("gemm")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"flash_decode_128_8_3", "flash_extend_192", "flash_hopper_128", "latent_64", "attend_bf16_bf16"})
    void batonsAttentionIsAttention(String kernel) {
        assertThat(KernelRules.builtIn().rule(EventKind.KERNEL, kernel).kernelClass())
                .isEqualTo(KernelClass.ATTENTION);
    }

    /** Four decode steps of Qwen2.5-3B's shape at batch 8 as a server on an H200 wrote them, replayed as graphs. */
    @Test
    void replaysOfBatonsOwnGraphsAreItsSteps() throws Exception {
        Path file = Path.of(Objects.requireNonNull(AnalyserTest.class.getResource("graphs-TP-0.trace.json.gz"))
                .toURI());
        RankAnalysis r = TraceFiles.analyse(List.of(file), KernelRules.builtIn(), new ArrayList<>())
                .getFirst();
        assertThat(r.stepKind()).isEqualTo(StepKind.GRAPH_REPLAY);
        assertThat(r.steps()).hasSize(4).allSatisfy(step -> {
            assertThat(step.kernels()).isEqualTo(187);
            assertThat(step.step().durationNanos()).isBetween(2_200_000L, 2_400_000L);
            assertThat(step.idleNanos()).isLessThan(50_000);
            assertThat(step.commNanos()).isZero();
        });
        assertThat(r.classes())
                .extracting(ClassTotal::kernelClass, ClassTotal::kernels)
                .contains(
                        tuple(KernelClass.GEMM, 4 * (36 * 4 + 1)),
                        tuple(KernelClass.ATTENTION, 4 * 36),
                        tuple(KernelClass.NORM, 4 * 2),
                        tuple(KernelClass.SAMPLING, 4));
    }

    @Test
    void collidingGraphIdsAreToldApartByTime() throws IOException {
        RankAnalysis r = analyse(new TraceText()
                .launch("cudaGraphLaunch", 0, 5, 9)
                .launch("cudaGraphLaunch", 1000, 5, 9)
                .kernel("gemm", 100, 50, 7, 9)
                .kernel("gemm", 1100, 60, 7, 9));
        assertThat(r.steps()).extracting(s -> s.step().durationNanos()).containsExactly(50_000L, 60_000L);
        assertThat(r.notes()).anyMatch(n -> n.contains("correlation id 9 stands for 2 graph launches"));
    }

    @Test
    void annotationsHoldWhatTheyLaunchedNotWhatRanInThem() throws IOException {
        TraceText text = new TraceText();
        for (int step = 0; step < 3; step++) {
            double at = 1000 * step;
            text.annotation("step[DECODE bs=4]", at, 100)
                    .launch("cudaLaunchKernel", at + 10, 2, 2 * step + 1)
                    .kernel("gemm", at + 500, 80, 7, 2 * step + 1)
                    .launch("cudaLaunchKernel", at + 200, 2, 2 * step + 2)
                    .kernel("late", at + 700, 80, 7, 2 * step + 2);
        }
        RankAnalysis r = analyse(text);
        assertThat(r.stepKind()).isEqualTo(StepKind.ANNOTATION);
        assertThat(r.steps()).hasSize(3).allSatisfy(s -> {
            assertThat(s.kernels()).isEqualTo(1);
            assertThat(s.step().durationNanos()).isEqualTo(80_000);
            assertThat(s.step().hostNanos()).isEqualTo(100_000);
        });
    }

    @Test
    void aRepeatingSequenceMakesStepsWhereNothingElseDoes() throws IOException {
        TraceText text = new TraceText();
        for (int step = 0; step < 5; step++) {
            double at = 1000 * step;
            text.kernel("embedding", at, 10, 7, 0);
            for (int layer = 0; layer < 4; layer++) {
                text.kernel("rmsnorm", at + 20 + 100 * layer, 10, 7, 0)
                        .kernel("flash_attn", at + 40 + 100 * layer, 30, 7, 0)
                        .kernel("gemm", at + 80 + 100 * layer, 20, 7, 0);
            }
            text.kernel("argmax", at + 450, 5, 7, 0);
        }
        RankAnalysis r = analyse(text);
        assertThat(r.stepKind()).isEqualTo(StepKind.REPETITION);
        assertThat(r.steps())
                .hasSize(5)
                .allSatisfy(s -> assertThat(s.step().durationNanos()).isEqualTo(455_000));
        assertThat(r.layers()).hasSize(4);
        assertThat(r.layers().get(2).nanos(KernelClass.ATTENTION)).isEqualTo(30_000);
    }

    @Test
    void unrelatedWorkIsOneStepAndSaysSo() throws IOException {
        RankAnalysis r = analyse(new TraceText().kernel("a", 0, 5, 7, 1).kernel("b", 10, 5, 7, 2));
        assertThat(r.stepKind()).isEqualTo(StepKind.WHOLE);
        assertThat(r.notes()).anyMatch(n -> n.startsWith("no steps could be told apart"));
    }

    @Test
    void operatorsOfBatonStandForKernelsOfACpu() throws IOException {
        RankAnalysis r = analyse(
                new TraceText()
                        .event(
                                "{\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":\"baton::linear\",\"pid\":1,\"tid\":2,\"ts\":1,\"dur\":7}")
                        .event(
                                "{\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":\"baton::all_reduce\",\"pid\":1,\"tid\":2,\"ts\":9,"
                                        + "\"dur\":3,\"args\":{\"Collective name\":\"allreduce\",\"Process Group Ranks\":\"[0, 1]\"}}"));
        assertThat(r.work().device()).isEqualTo(-1);
        assertThat(r.classes())
                .extracting(ClassTotal::kernelClass)
                .containsExactly(KernelClass.GEMM, KernelClass.COLLECTIVE);
    }

    @Test
    void intervalsMeetTheirDefinition() {
        Intervals a = new Intervals();
        Intervals b = new Intervals();
        a.add(10, 20);
        a.add(0, 5);
        a.add(15, 30);
        a.add(7, 7);
        b.add(4, 12);
        b.add(29, 40);
        assertThat(a.union()).isEqualTo(25);
        assertThat(a.intersection(b)).isEqualTo(4);
        assertThat(new Intervals().union()).isZero();
    }

    private RankAnalysis analyse(TraceText text) throws IOException {
        Trace trace = TraceReader.read(text.write(folder.resolve("t.json"))).getFirst();
        return new Analyser(KernelRules.builtIn()).analyse(Work.of(trace).getFirst(), 0);
    }
}
