package dev.baton.trace.analyse;

import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.Events;
import dev.baton.trace.step.Step;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Cuts steps into layers by their attention kernel: the attention kernel with most time comes once a layer. A layer begins
 * at the residual norm before its attention; without such a norm, at the attention itself.
 */
final class Layers {
    private static final int FEWEST = 4;
    private static final Pattern RESIDUAL_NORM = Pattern.compile("(?i)add_?\\w*norm|norm\\w*add|residual");

    private Layers() {}

    /**
     * @param rows medians over the steps that have the usual number of layers; empty when there are none
     * @param startNanos where each layer of each step begins; empty arrays when there are none
     */
    record Found(List<LayerRow> rows, List<long[]> startNanos) {}

    static Found find(Events e, KernelClass[] classOf, List<Step> steps) {
        int anchor = anchor(e, classOf, steps);
        if (anchor < 0) {
            return none(steps);
        }
        List<int[]> cuts = new ArrayList<>();
        for (Step step : steps) {
            cuts.add(cuts(e, classOf, step, anchor));
        }
        int usual = cuts.stream().mapToInt(c -> c.length).sorted().toArray()[cuts.size() / 2];
        if (usual < FEWEST) {
            return none(steps);
        }
        List<List<LayerRow>> perStep = new ArrayList<>();
        for (int s = 0; s < steps.size(); s++) {
            if (cuts.get(s).length == usual) {
                perStep.add(rows(e, classOf, steps.get(s), cuts.get(s)));
            }
        }
        List<LayerRow> medians = new ArrayList<>();
        for (int layer = 0; layer < usual; layer++) {
            medians.add(median(perStep, layer));
        }
        List<long[]> starts = new ArrayList<>();
        for (int s = 0; s < steps.size(); s++) {
            int[] events = steps.get(s).events();
            starts.add(java.util.Arrays.stream(cuts.get(s))
                    .mapToLong(k -> e.startNanos(events[k]))
                    .toArray());
        }
        return new Found(medians, starts);
    }

    private static Found none(List<Step> steps) {
        return new Found(List.of(), java.util.Collections.nCopies(steps.size(), new long[0]));
    }

    /** Name id of the attention kernel with most time that comes at least {@link #FEWEST} times a step; -1 for none. */
    private static int anchor(Events e, KernelClass[] classOf, List<Step> steps) {
        Map<Integer, long[]> totals = new HashMap<>();
        for (Step step : steps) {
            for (int i : step.events()) {
                if (classOf[e.nameId(i)] == KernelClass.ATTENTION) {
                    long[] t = totals.computeIfAbsent(e.nameId(i), n -> new long[2]);
                    t[0] += e.durationNanos(i);
                    t[1]++;
                }
            }
        }
        return totals.entrySet().stream()
                .filter(t -> t.getValue()[1] >= (long) FEWEST * steps.size())
                .max((a, b) -> Long.compare(a.getValue()[0], b.getValue()[0]))
                .map(Map.Entry::getKey)
                .orElse(-1);
    }

    /** Index into the step's events at which each layer begins. */
    private static int[] cuts(Events e, KernelClass[] classOf, Step step, int anchor) {
        List<Integer> cuts = new ArrayList<>();
        int[] events = step.events();
        int lastNorm = -1;
        boolean isFirst = true;
        for (int k = 0; k < events.length; k++) {
            int name = e.nameId(events[k]);
            if (classOf[name] == KernelClass.NORM
                    && RESIDUAL_NORM.matcher(e.name(events[k])).find()) {
                lastNorm = k;
            } else if (name == anchor) {
                cuts.add(isFirst ? 0 : lastNorm >= 0 ? lastNorm : k);
                isFirst = false;
                lastNorm = -1;
            }
        }
        return cuts.stream().mapToInt(Integer::intValue).toArray();
    }

    private static List<LayerRow> rows(Events e, KernelClass[] classOf, Step step, int[] cuts) {
        List<LayerRow> rows = new ArrayList<>();
        for (int layer = 0; layer < cuts.length; layer++) {
            int to = layer + 1 < cuts.length ? cuts[layer + 1] : step.events().length;
            long end = layer + 1 < cuts.length ? e.startNanos(step.events()[to]) : step.endNanos();
            Map<KernelClass, Long> sums = new EnumMap<>(KernelClass.class);
            for (int k = cuts[layer]; k < to; k++) {
                int event = step.events()[k];
                sums.merge(classOf[e.nameId(event)], e.durationNanos(event), Long::sum);
            }
            rows.add(new LayerRow(layer, end - e.startNanos(step.events()[cuts[layer]]), sums));
        }
        return rows;
    }

    private static LayerRow median(List<List<LayerRow>> perStep, int layer) {
        Map<KernelClass, Long> classes = new EnumMap<>(KernelClass.class);
        for (KernelClass kernelClass : KernelClass.values()) {
            long nanos = Medians.of(perStep.stream()
                    .mapToLong(rows -> rows.get(layer).nanos(kernelClass))
                    .toArray());
            if (nanos > 0) {
                classes.put(kernelClass, nanos);
            }
        }
        long span = Medians.of(
                perStep.stream().mapToLong(rows -> rows.get(layer).spanNanos()).toArray());
        return new LayerRow(layer, span, classes);
    }
}
