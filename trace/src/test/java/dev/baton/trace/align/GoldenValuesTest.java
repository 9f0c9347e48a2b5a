package dev.baton.trace.align;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.RealFiles;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.classify.KernelRules;
import dev.baton.trace.step.StepKind;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

/** Figures of other people's traces that were computed by other means. */
class GoldenValuesTest {
    private static final double SLACK = 0.005;

    @Test
    void decodeOn48RanksWithSingleBatchOverlap() {
        RankSet set = load("gb200/1.fp4_sbo_eplb");
        everyStep(set, 1857, 77.7, 78.2, 29.2, 30.9, 57.0, 59.1, 10.5, 11.0, 0.44, 0.46);
        assertRange(set, StepMetrics::dispatchNanos, 9.6, 10.9);
        assertRange(set, StepMetrics::combineNanos, 19.4, 20.3);
        starts(set, -70, -9, 52);
        combine(set.ranks().get(0), 337, 459, 23);
        combine(set.ranks().get(1), 331, 457, 20);
    }

    @Test
    void decodeOn48RanksWithoutOverlap() {
        RankSet set = load("gb200/2.fp4_wo-sbo_eplb");
        everyStep(set, 1799, 84.5, 86.2, 30.3, 31.9, 53.4, 54.0, 0, 0, 0.54, 0.57);
        assertRange(set, StepMetrics::dispatchNanos, 8.0, 10.7);
        assertRange(set, StepMetrics::combineNanos, 21.1, 22.3);
        starts(set, -92, -29, 92);
        combine(set.ranks().get(0), 368, 527, 20);
        combine(set.ranks().get(1), 375, 672, 20);
    }

    @Test
    void eightOfEightRanks() {
        RankSet set = load("dlrm8");
        assertThat(set.ranks()).extracting(RankAnalysis::rank).containsExactly(0, 1, 2, 3, 4, 5, 6, 7);
        assertThat(set.ranks()).allMatch(r -> r.stepKind() == StepKind.PROFILER_STEP);
        double[] nccl = {5.80, 11.34, 3.49, 9.77, 6.59, 6.25, 3.56, 1.75};
        int[] kernels = {245, 310, 246, 315, 251, 245, 246, 246};
        for (int r = 0; r < 8; r++) {
            assertThat(sum(set.ranks().get(r), KernelClass.COLLECTIVE) / 1e6).isCloseTo(nccl[r], within(0.0051));
            assertThat(set.ranks().get(r).steps().getFirst().kernels()).isEqualTo(kernels[r]);
        }
        assertThat(set.collectives())
                .extracting(Collective::startSpreadNanos)
                .containsExactly(7624000L, 1101000L, 168000L, 125000L, 223000L, 534000L, 584000L, 885000L);
        assertThat(set.collectives())
                .extracting(Collective::endSpreadNanos)
                .containsExactly(2000L, 2000L, 1000L, 2000L, 5000L, 3000L, 5000L, 7000L);
        assertThat(set.collectives()).extracting(c -> c.last().rankIndex()).containsExactly(7, 7, 7, 7, 7, 5, 5, 4);
        assertThat(set.collectives())
                .extracting(c -> c.kind().title())
                .containsExactly(
                        "send_recv",
                        "send_recv",
                        "send_recv",
                        "send_recv",
                        "all_reduce",
                        "send_recv",
                        "all_reduce",
                        "all_reduce");
        assertThat(set.stragglers().get(7).timesLast()).isEqualTo(5);
        assertThat(set.stragglers())
                .extracting(Straggler::waitedNanos)
                .allMatch(w -> w >= set.stragglers().get(7).waitedNanos());
        assertThat(set.clocks()).noneMatch(Clock::isCorrected);
    }

    @Test
    void kernelSumsOfOtherAnalysersFiles() {
        RankSet sampled = load("hta/sampled_rank-0.json.gz", "hta/sampled_rank-1.json.gz");
        assertThat(sum(sampled.ranks().get(0), KernelClass.COLLECTIVE) / 1e6).isCloseTo(396.2, within(0.051));
        assertThat(sum(sampled.ranks().get(1), KernelClass.COLLECTIVE) / 1e6).isCloseTo(379.1, within(0.051));
        assertThat(kernels(sampled.ranks().get(0)) / 1e6).isCloseTo(606.5, Percentage.withPercentage(0.5));
        assertThat(kernels(sampled.ranks().get(1)) / 1e6).isCloseTo(651.0, Percentage.withPercentage(0.5));
        RankAnalysis nccl = load("hta/nccl_data.json.gz").ranks().getFirst();
        assertThat(nccl.kernels().stream()
                        .filter(k -> k.kernelClass() == KernelClass.COLLECTIVE)
                        .mapToInt(k -> k.count())
                        .sum())
                .isEqualTo(21);
        RankAnalysis decode =
                load("tracelens/sglang_Qwen3-8B_decode.json.gz").ranks().getFirst();
        assertThat(decode.stepKind()).isEqualTo(StepKind.GRAPH_REPLAY);
        assertThat(decode.work().device()).isEqualTo(9);
        assertThat(kernels(decode) / 1e6).isCloseTo(9.8, within(0.05));
        assertThat(decode.layers()).hasSize(36);
        RankAnalysis prefill =
                load("tracelens/sglang_prefilldecode.json.gz").ranks().getFirst();
        assertThat(prefill.steps().getFirst().step().name()).isEqualTo("step[EXTEND bs=15 toks=15360]");
        assertThat(kernels(prefill) / 1e6).isCloseTo(492.8, within(0.05));
    }

    private static RankSet load(String... names) {
        List<String> notes = new ArrayList<>();
        return RankAligner.align(TraceFiles.analyse(
                TraceFiles.find(
                        java.util.Arrays.stream(names).map(RealFiles::get).toList()),
                KernelRules.builtIn(),
                notes));
    }

    private static void everyStep(
            RankSet set,
            int kernels,
            double stepFrom,
            double stepTo,
            double commFrom,
            double commTo,
            double computeFrom,
            double computeTo,
            double overlapFrom,
            double overlapTo,
            double idleFrom,
            double idleTo) {
        assertThat(set.collectives()).hasSize(928);
        for (RankAnalysis rank : set.ranks()) {
            assertThat(rank.stepKind()).isEqualTo(StepKind.GRAPH_REPLAY);
            assertThat(rank.steps()).hasSize(4).allMatch(s -> s.kernels() == kernels);
            assertThat(rank.layers()).hasSize(61);
        }
        assertRange(set, s -> s.step().durationNanos(), stepFrom, stepTo);
        assertRange(set, StepMetrics::commNanos, commFrom, commTo);
        assertRange(set, StepMetrics::computeNanos, computeFrom, computeTo);
        assertRange(set, StepMetrics::overlapNanos, overlapFrom, overlapTo);
        assertRange(set, StepMetrics::idleNanos, idleFrom, idleTo);
    }

    /** All values in the range, and its ends reached, within half a percent. */
    private static void assertRange(RankSet set, ToLongFunction<StepMetrics> figure, double from, double to) {
        double[] ms = set.ranks().stream()
                .flatMap(r -> r.steps().stream())
                .mapToDouble(s -> figure.applyAsLong(s) / 1e6)
                .sorted()
                .toArray();
        double slack = Math.max(SLACK * to, 0.0051);
        assertThat(ms[0]).isCloseTo(from, within(slack));
        assertThat(ms[ms.length - 1]).isCloseTo(to, within(slack));
    }

    private static void starts(RankSet set, double p5, double p50, double p95) {
        double[] us = set.collectives().stream()
                .mapToDouble(
                        c -> (c.calls().get(0).startNanos() - c.calls().get(1).startNanos()) / 1e3)
                .toArray();
        assertThat(Medians.quantile(us, 0.05)).isCloseTo(p5, within(2.0));
        assertThat(Medians.of(us)).isCloseTo(p50, within(0.6));
        assertThat(Medians.quantile(us, 0.95)).isCloseTo(p95, within(2.0));
    }

    private static void combine(RankAnalysis rank, double medianMicros, double mostMicros, int slowest) {
        long[] nanos = rank.layers().stream()
                .mapToLong(l -> l.nanos(KernelClass.COMBINE))
                .toArray();
        long[] used = java.util.Arrays.stream(nanos).filter(n -> n > 0).toArray();
        assertThat(used).hasSize(58);
        assertThat(Medians.of(used) / 1e3).isCloseTo(medianMicros, within(1.0));
        assertThat(nanos[slowest] / 1e3).isCloseTo(mostMicros, within(1.0));
        assertThat(nanos[slowest])
                .isEqualTo(java.util.Arrays.stream(nanos).max().orElseThrow());
    }

    private static long sum(RankAnalysis rank, KernelClass kernelClass) {
        return rank.classes().stream()
                .filter(c -> c.kernelClass() == kernelClass)
                .mapToLong(c -> c.sumNanos())
                .sum();
    }

    /** Kernels alone, without copies. */
    private static long kernels(RankAnalysis rank) {
        return rank.classes().stream()
                .filter(c -> c.kernelClass() != KernelClass.MEMCPY)
                .mapToLong(c -> c.sumNanos())
                .sum();
    }
}
