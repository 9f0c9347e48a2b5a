package dev.baton.trace.diff;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceException;
import dev.baton.trace.TraceText;
import dev.baton.trace.align.RankAligner;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.TraceFiles;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.report.DiffReport;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceDiffTest {
    @TempDir
    Path folder;

    /** Eight steps; the host's send of token ids takes {@code sendMicros}, the attention kernel has a version in its name. */
    private RankSet side(String name, double gemmMicros, double sendMicros, double firstMore) throws IOException {
        TraceText text = new TraceText().rank(0, 1);
        for (int k = 0; k < 8; k++) {
            double at = 10_000 * k;
            double jitter = (k * 3) % 4;
            text.annotation("step[DECODE bs=8]", at, 500)
                    .event(
                            "{\"ph\":\"X\",\"cat\":\"python_function\",\"name\":\"pp.py(7): send_tensor_dict\",\"pid\":1,"
                                    + "\"tid\":2,\"ts\":" + (at + 600) + ",\"dur\":" + (sendMicros + jitter) + "}")
                    .launch("cudaLaunchKernel", at + 1, 1, 2 * k + 1)
                    .launch("cudaLaunchKernel", at + 2, 1, 2 * k + 2)
                    .kernel("gemm", at + 10, gemmMicros + jitter + (k == 0 ? firstMore : 0), 7, 2 * k + 1)
                    .kernel("flash_attn_" + name, at + 5000, 100, 7, 2 * k + 2);
        }
        Path file = text.write(folder.resolve(name + ".json"));
        return RankAligner.align(TraceFiles.analyse(
                List.of(file), KernelRules.builtIn(), List.of("send_tensor_dict"), new ArrayList<>()));
    }

    @Test
    void saysWhatMovedAndThatTheRestDidNot() throws IOException {
        TraceDiff diff = TraceDiff.of(side("v1", 1000, 5, 0), side("v2", 1200, 5, 0), List.of());
        Comparison gemm = diff.classes().stream()
                .filter(c -> c.name().equals("GEMM"))
                .findFirst()
                .orElseThrow();
        assertThat(gemm.difference()).isCloseTo(0.2, within(1e-9));
        assertThat(gemm.isBeyondChance()).isTrue();
        assertThat(gemm.low()).isLessThan(0.2).isGreaterThan(0.19);
        assertThat(gemm.chance()).isLessThan(0.001);
        Comparison attention = diff.classes().stream()
                .filter(c -> c.name().equals("attention"))
                .findFirst()
                .orElseThrow();
        assertThat(attention.isBeyondChance()).isFalse();
        assertThat(attention.chance()).isEqualTo(1);
        assertThat(diff.kernels()).anySatisfy(k -> assertThat(k.partner()).isEqualTo("flash_attn_v2"));
        assertThat(DiffReport.text(diff)).contains("GEMM +0.20 ms");
    }

    @Test
    void expectationsAreReproducedOrNotOrUndecided() throws IOException {
        RankSet slow = side("graphs", 1000, 100_000, 0);
        RankSet fast = side("eager", 1000, 3_000, 0);
        List<Expectation> expected = java.util.stream.Stream.of(
                        "send_tensor_dict: A/B >= 10",
                        "send_tensor_dict: A <= 50ms",
                        "send_tensor_dict: B/A > 0.0300095",
                        "no_such_span: A/B >= 1",
                        "step: A-B < 1us")
                .map(Expectation::parse)
                .toList();
        TraceDiff diff = TraceDiff.of(slow, fast, expected);
        assertThat(diff.judgements())
                .extracting(Expectation.Judgement::outcome)
                .containsExactly(
                        Expectation.Outcome.REPRODUCED,
                        Expectation.Outcome.NOT_REPRODUCED,
                        Expectation.Outcome.UNDECIDED,
                        Expectation.Outcome.UNDECIDED,
                        Expectation.Outcome.REPRODUCED);
        assertThat(diff.judgements().get(0).value()).isCloseTo(33.3, within(0.1));
        assertThat(diff.judgements().get(3).why()).endsWith("named no_such_span");
        assertThat(diff.judgements().get(4).why()).startsWith("A-B = ").contains(" ms, 95% interval");
    }

    @Test
    void anOddFirstStepIsLeftOutAndSaid() throws IOException {
        TraceDiff diff = TraceDiff.of(side("warm", 1000, 5, 0), side("cold", 1000, 5, 5900), List.of());
        assertThat(diff.notes())
                .singleElement()
                .asString()
                .contains("the first step of B")
                .contains("left out");
        assertThat(diff.figures().getFirst().b().values()).hasSize(7);
        assertThat(diff.figures().getFirst().isBeyondChance()).isFalse();
    }

    @Test
    void twoGroupsOfStepsAreFlagged() {
        assertThat(Samples.isBimodal(new double[] {10, 10.1, 20, 10.2, 20.1, 19.9, 10.05}))
                .isTrue();
        assertThat(Samples.isBimodal(new double[] {10, 10.1, 10.3, 10.2, 10.25, 10.4, 10.05}))
                .isFalse();
        assertThat(Samples.isBimodal(new double[] {1, 2})).isFalse();
    }

    @Test
    void permutationMeetsItsDefinition() {
        assertThat(Chance.permutation(new double[] {1, 2, 3}, new double[] {4, 5, 6}))
                .isCloseTo(0.1, within(1e-12));
        assertThat(Chance.permutation(new double[] {1, 1}, new double[] {1, 1})).isEqualTo(1);
        assertThat(Chance.permutation(new double[] {}, new double[] {1})).isNaN();
    }

    @Test
    void aMalformedExpectationNamesTheForm() {
        assertThatThrownBy(() -> Expectation.parse("send is slow"))
                .isInstanceOf(TraceException.class)
                .hasMessageContaining("send is slow")
                .hasMessageContaining("NAME:");
    }

    @Test
    void overlapIsWorthSixPointEightMillisecondsOnTheRealPair() {
        List<RankSet> sides = java.util.stream.Stream.of("gb200/2.fp4_wo-sbo_eplb", "gb200/1.fp4_sbo_eplb")
                .map(RealFiles::get)
                .map(f -> RankAligner.align(
                        TraceFiles.analyse(TraceFiles.find(List.of(f)), KernelRules.builtIn(), new ArrayList<>())))
                .toList();
        TraceDiff diff = TraceDiff.of(sides.get(0), sides.get(1), List.of(Expectation.parse("step: A-B >= 6ms")));
        assertThat(diff.figures().getFirst().difference()).isCloseTo(-6.8, within(0.15));
        assertThat(diff.judgements().getFirst().outcome()).isEqualTo(Expectation.Outcome.REPRODUCED);
        assertThat(diff.kernels().getFirst().partner()).contains("combine_v2");
    }
}
