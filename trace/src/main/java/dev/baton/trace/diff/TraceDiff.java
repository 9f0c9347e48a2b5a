package dev.baton.trace.diff;

import dev.baton.trace.align.Collective;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.analyse.LayerRow;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.CollectiveKind;
import dev.baton.trace.classify.KernelClass;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToLongFunction;

/**
 * Two sets of traces side by side. A sample is one step, averaged over the ranks of its side: ranks of one step go in
 * lockstep and are no separate observations. Times are milliseconds a step.
 *
 * @param figures step, compute, comm, overlap, exposed, idle, dispatch, combine, all-reduce, send-recv
 * @param classes kernel time by class
 * @param kernels kernel time by name, largest difference first; names of one side only count 0 on the other
 * @param layers median kernel time of each layer and class: [layer] = {A, B} in microseconds, whole layer
 * @param transfers what point-to-point and other exchanges spent waiting and moving bytes, in words
 * @param judgements of the expectations
 * @param notes what a reader must know
 */
public record TraceDiff(
        List<Comparison> figures,
        List<Comparison> classes,
        List<KernelPair> kernels,
        List<double[]> layers,
        List<String> transfers,
        List<Expectation.Judgement> judgements,
        List<String> notes) {
    /**
     * One kernel name on both sides.
     *
     * @param comparison its time a step
     * @param kernelClass its class
     * @param countA launches a step
     * @param countB likewise
     * @param partner name on side B where that differs: the same class, count and order; empty otherwise
     */
    public record KernelPair(
            Comparison comparison, KernelClass kernelClass, double countA, double countB, String partner) {}

    private static final Map<String, ToLongFunction<StepMetrics>> FIGURES = figureTable();

    private static Map<String, ToLongFunction<StepMetrics>> figureTable() {
        Map<String, ToLongFunction<StepMetrics>> table = new java.util.LinkedHashMap<>();
        table.put("step", s -> s.step().durationNanos());
        table.put("compute", StepMetrics::computeNanos);
        table.put("comm", StepMetrics::commNanos);
        table.put("overlap", StepMetrics::overlapNanos);
        table.put("exposed", StepMetrics::exposedNanos);
        table.put("idle", StepMetrics::idleNanos);
        table.put("dispatch", StepMetrics::dispatchNanos);
        table.put("combine", StepMetrics::combineNanos);
        table.put("all-reduce", StepMetrics::allReduceNanos);
        table.put("send-recv", StepMetrics::sendRecvNanos);
        return table;
    }

    /** Compares two sides. */
    public static TraceDiff of(RankSet a, RankSet b, List<Expectation> expectations) {
        List<String> notes = new ArrayList<>();
        Side sideA = new Side(a, "A", notes);
        Side sideB = new Side(b, "B", notes);
        List<Comparison> figures = new ArrayList<>();
        FIGURES.forEach((name, figure) -> {
            Comparison c = Comparison.of(name, sideA.figure(figure), sideB.figure(figure));
            if (c.a().mean() != 0 || c.b().mean() != 0) {
                figures.add(c);
            }
        });
        List<Comparison> classes = new ArrayList<>();
        for (KernelClass kernelClass : KernelClass.values()) {
            Comparison c = Comparison.of(kernelClass.title(), sideA.kernels(kernelClass), sideB.kernels(kernelClass));
            if (c.a().mean() > 0 || c.b().mean() > 0) {
                classes.add(c);
            }
        }
        for (Comparison c : figures) {
            if (c.a().isBimodal() || c.b().isBimodal()) {
                notes.add(c.name() + " of " + (c.a().isBimodal() ? "A" : "B")
                        + " falls into two groups of steps: its mean stands for neither");
            }
        }
        List<Expectation.Judgement> judgements =
                expectations.stream().map(e -> judge(e, sideA, sideB)).toList();
        return new TraceDiff(
                figures,
                classes,
                new KernelMatcher(sideA, sideB).pairs(),
                layers(a, b),
                transfers(a, b),
                judgements,
                notes);
    }

    private static Expectation.Judgement judge(Expectation e, Side a, Side b) {
        String wanted = e.name().toLowerCase(Locale.ROOT);
        ToLongFunction<StepMetrics> figure = FIGURES.get(wanted);
        if (figure != null) {
            return e.judge(a.figure(figure), b.figure(figure));
        }
        for (KernelClass kernelClass : KernelClass.values()) {
            if (kernelClass.title().toLowerCase(Locale.ROOT).equals(wanted)) {
                return e.judge(a.kernels(kernelClass), b.kernels(kernelClass));
            }
        }
        return e.judge(a.calls(e.name()), b.calls(e.name()));
    }

    private static List<double[]> layers(RankSet a, RankSet b) {
        List<double[]> rows = new ArrayList<>();
        if (a.ranks().isEmpty() || b.ranks().isEmpty()) {
            return rows;
        }
        int layers = Math.min(
                a.ranks().getFirst().layers().size(),
                b.ranks().getFirst().layers().size());
        for (int layer = 0; layer < layers; layer++) {
            rows.add(new double[] {layerMicros(a, layer), layerMicros(b, layer)});
        }
        return rows;
    }

    /** Length of a layer, median over the ranks. */
    private static double layerMicros(RankSet set, int layer) {
        double[] values = set.ranks().stream()
                .map(RankAnalysis::layers)
                .filter(l -> l.size() > layer)
                .map(l -> l.get(layer))
                .mapToDouble(LayerRow::spanNanos)
                .toArray();
        return Medians.of(values) / 1e3;
    }

    private static List<String> transfers(RankSet a, RankSet b) {
        List<String> lines = new ArrayList<>();
        for (CollectiveKind kind : CollectiveKind.values()) {
            String left = transfer(a, kind);
            String right = transfer(b, kind);
            if (!left.isEmpty() || !right.isEmpty()) {
                lines.add(kind.title() + ": A " + (left.isEmpty() ? "has none matched" : left) + "; B "
                        + (right.isEmpty() ? "has none matched" : right));
            }
        }
        return lines;
    }

    private static String transfer(RankSet set, CollectiveKind kind) {
        List<Collective> of =
                set.collectives().stream().filter(c -> c.kind() == kind).toList();
        double[] waits = of.stream()
                .flatMap(c -> c.calls().stream().map(call -> c.waitNanos(call) / 1e3))
                .mapToDouble(Double::doubleValue)
                .toArray();
        double[] transfers = of.stream()
                .flatMap(c -> c.calls().stream().map(call -> c.transferNanos(call) / 1e3))
                .mapToDouble(Double::doubleValue)
                .toArray();
        return of.isEmpty()
                ? ""
                : String.format(
                        Locale.ROOT,
                        "%d exchanges, a call waits %.1f us for its peers (mean; p95 %.1f) and moves bytes for %.1f us",
                        of.size(),
                        java.util.Arrays.stream(waits).average().orElse(0),
                        Medians.quantile(waits, 0.95),
                        java.util.Arrays.stream(transfers).average().orElse(0));
    }
}
