package dev.baton.trace.diff;

import dev.baton.trace.align.RankSet;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/** One side of a comparison as samples, one a step, averaged over its ranks. */
final class Side {
    private final List<RankAnalysis> ranks;
    private final int steps;
    private final boolean excludesFirst;
    /** [rank][step]: kernel time in ms by name, and launches. */
    private final List<List<Map<String, double[]>>> kernels = new ArrayList<>();

    Side(RankSet set, String name, List<String> notes) {
        this.ranks = set.ranks();
        this.steps = ranks.stream().mapToInt(r -> r.steps().size()).min().orElse(0);
        double[] lengths = perStep(s -> s.step().durationNanos() / 1e6);
        this.excludesFirst = Samples.isFirstOutlier(lengths);
        if (excludesFirst) {
            notes.add(String.format(
                    Locale.ROOT,
                    "the first step of %s (%.2f ms, the others %.2f) is an outlier and was left out",
                    name,
                    lengths[0],
                    Arrays.stream(lengths).skip(1).average().orElse(0)));
        }
        if (steps < 3) {
            notes.add(name + " has " + steps + " step(s): no interval can be given, only the difference");
        }
        for (RankAnalysis rank : ranks) {
            kernels.add(kernelsByStep(rank));
        }
    }

    private List<Map<String, double[]>> kernelsByStep(RankAnalysis rank) {
        Events e = rank.work().trace().events();
        List<Map<String, double[]>> all = new ArrayList<>();
        for (int s = 0; s < steps; s++) {
            Map<String, double[]> byName = new HashMap<>();
            for (int i : rank.steps().get(s).step().events()) {
                double[] sum = byName.computeIfAbsent(e.name(i), n -> new double[2]);
                sum[0] += e.durationNanos(i) / 1e6;
                sum[1]++;
            }
            all.add(byName);
        }
        return all;
    }

    Samples figure(ToLongFunction<StepMetrics> figure) {
        return Samples.of(perStep(s -> figure.applyAsLong(s) / 1e6), excludesFirst);
    }

    Samples kernels(KernelClass kernelClass) {
        double[] sums = new double[steps];
        for (RankAnalysis rank : ranks) {
            Events e = rank.work().trace().events();
            for (int s = 0; s < steps; s++) {
                for (int i : rank.steps().get(s).step().events()) {
                    sums[s] += rank.classOf(i) == kernelClass ? e.durationNanos(i) / 1e6 / ranks.size() : 0;
                }
            }
        }
        return Samples.of(sums, excludesFirst);
    }

    /** Time of one kernel name a step. */
    Samples kernel(String name) {
        return Samples.of(perKernel(name, 0), excludesFirst);
    }

    /** Launches of one kernel name a step. */
    double launches(String name) {
        return Arrays.stream(perKernel(name, 1)).average().orElse(0);
    }

    private double[] perKernel(String name, int part) {
        double[] sums = new double[steps];
        for (List<Map<String, double[]>> rank : kernels) {
            for (int s = 0; s < steps; s++) {
                double[] sum = rank.get(s).get(name);
                sums[s] += sum == null ? 0 : sum[part] / ranks.size();
            }
        }
        return sums;
    }

    /** Kernel names with their class, in the order of the first rank's steps. */
    Map<String, KernelClass> kernelNames() {
        Map<String, KernelClass> names = new java.util.LinkedHashMap<>();
        for (RankAnalysis rank : ranks) {
            Events e = rank.work().trace().events();
            for (StepMetrics s : rank.steps()) {
                for (int i : s.step().events()) {
                    names.putIfAbsent(e.name(i), rank.classOf(i));
                }
            }
        }
        return names;
    }

    /** Lengths of the single calls of host spans, or else kernels, whose name holds {@code piece}. */
    Samples calls(String piece) {
        List<Double> host = new ArrayList<>();
        List<Double> device = new ArrayList<>();
        for (RankAnalysis rank : ranks) {
            Events e = rank.work().trace().events();
            for (int i = 0; i < e.size(); i++) {
                if (e.kind(i) != EventKind.RUNTIME && e.name(i).contains(piece)) {
                    (e.kind(i).isDeviceWork() ? device : host).add(e.durationNanos(i) / 1e6);
                }
            }
        }
        List<Double> used = host.isEmpty() ? device : host;
        return Samples.of(used.stream().mapToDouble(Double::doubleValue).toArray(), false);
    }

    private double[] perStep(ToDoubleFunction<StepMetrics> figure) {
        double[] values = new double[steps];
        for (RankAnalysis rank : ranks) {
            for (int s = 0; s < steps; s++) {
                values[s] += figure.applyAsDouble(rank.steps().get(s)) / ranks.size();
            }
        }
        return values;
    }
}
