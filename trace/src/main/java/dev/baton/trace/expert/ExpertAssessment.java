package dev.baton.trace.expert;

import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelClass;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What a recording of expert loads amounts to.
 *
 * @param counts as read
 * @param faults why no placement should be planned from them; empty when they are fit for it
 * @param layers of those that have experts, by number
 * @param whatIf every choice of group size and redundancy that divides evenly
 * @param traced the step that predictions start from; null without a trace
 */
public record ExpertAssessment(
        ExpertCounts counts,
        List<String> faults,
        List<Layer> layers,
        List<WhatIf> whatIf,
        @Nullable TracedStep traced) {
    private static final int HOTTEST = 4;

    /**
     * One layer.
     *
     * @param skew largest count over the mean
     * @param hottest experts, most tokens first
     * @param shares of the layer's tokens that they got
     * @param balancedness of the layer for each group size asked for, experts laid out in order; NaN where they do not
     *     divide evenly
     */
    public record Layer(int number, double skew, int[] hottest, double[] shares, double[] balancedness) {}

    /**
     * What is asked.
     *
     * @param gpus sizes of the expert-parallel group
     * @param redundant experts beside the logical ones
     * @param groups of experts that stay on a node
     * @param nodes of the group
     * @param topK experts a token goes to
     */
    public record Question(int[] gpus, int[] redundant, int groups, int nodes, int topK) {}

    /**
     * A traced step.
     *
     * @param stepMillis median
     * @param expertMillis of expert GEMMs in it, median
     * @param gpus of the traced expert-parallel group
     * @param balancedness at which it was traced, by these counts
     */
    public record TracedStep(double stepMillis, double expertMillis, int gpus, double balancedness) {
        /** Of traces; null when they have no steps. */
        public static @Nullable TracedStep of(List<RankAnalysis> ranks, int gpus, double balancedness) {
            double[] steps = ranks.stream()
                    .flatMap(r -> r.steps().stream())
                    .mapToDouble(s -> s.step().durationNanos() / 1e6)
                    .toArray();
            double[] expert = ranks.stream()
                    .flatMap(r ->
                            r.steps().stream().map(s -> expertMillis(r, s.step().events())))
                    .mapToDouble(Double::doubleValue)
                    .toArray();
            return steps.length == 0 ? null : new TracedStep(Medians.of(steps), Medians.of(expert), gpus, balancedness);
        }

        private static double expertMillis(RankAnalysis rank, int[] events) {
            return Arrays.stream(events)
                            .filter(i -> rank.classOf(i) == KernelClass.EXPERT_GEMM)
                            .mapToLong(i -> rank.work().trace().events().durationNanos(i))
                            .sum()
                    / 1e6;
        }

        /** Step with another placement, in milliseconds. */
        public double predict(WhatIf choice) {
            return choice.stepMillis(stepMillis, expertMillis, balancedness);
        }
    }

    /** Assesses counts; with all of them zero there is nothing but the fault. */
    public static ExpertAssessment of(ExpertCounts counts, Question question, @Nullable TracedStep traced) {
        int[] moe = counts.moeLayers();
        List<Layer> layers = new ArrayList<>();
        for (int layer : moe) {
            layers.add(layer(counts, layer, question.gpus()));
        }
        return new ExpertAssessment(
                counts,
                counts.faults(question.topK()),
                layers,
                moe.length == 0
                        ? List.of()
                        : WhatIf.table(
                                counts, question.gpus(), question.redundant(), question.groups(), question.nodes()),
                traced);
    }

    private static Layer layer(ExpertCounts counts, int number, int[] gpus) {
        double[] row = counts.counts()[number];
        double sum = Arrays.stream(row).sum();
        int[] hottest = IntStream.range(0, row.length)
                .boxed()
                .sorted(Comparator.comparingDouble(e -> -row[e]))
                .limit(HOTTEST)
                .mapToInt(Integer::intValue)
                .toArray();
        double[] shares = Arrays.stream(hottest).mapToDouble(e -> row[e] / sum).toArray();
        double[] balancedness = new double[gpus.length];
        for (int g = 0; g < gpus.length; g++) {
            boolean divides = gpus[g] > 0 && row.length % gpus[g] == 0;
            balancedness[g] = divides
                    ? Placement.balancedness(Placement.trivial(number + 1, row.length, row.length, gpus[g])
                            .gpuLoads(number, row))
                    : Double.NaN;
        }
        return new Layer(number, ExpertCounts.skew(row), hottest, shares, balancedness);
    }

    /** Layers with the hottest experts first. */
    public List<Layer> bySkew() {
        return layers.stream()
                .sorted(Comparator.comparingDouble(l -> -l.skew()))
                .toList();
    }
}
