package dev.baton.trace.report;

import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.Straggler;
import dev.baton.trace.analyse.ClassTotal;
import dev.baton.trace.analyse.LayerRow;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.ToLongFunction;

/** The few sentences a reader needs first: what is slow, where, by how much and how sure. */
public final class Verdict {
    private Verdict() {}

    /** The sentences, most important first; at least one. */
    public static List<String> of(RankSet set) {
        List<String> sentences = new ArrayList<>();
        if (set.ranks().isEmpty()) {
            sentences.add("No device events: there is nothing to analyse in these files.");
            return sentences;
        }
        steps(set, sentences);
        stragglers(set, sentences);
        layers(set, sentences);
        classes(set, sentences);
        sureness(set, sentences);
        return sentences;
    }

    private static void steps(RankSet set, List<String> sentences) {
        List<StepMetrics> all =
                set.ranks().stream().flatMap(r -> r.steps().stream()).toList();
        double step = median(all, s -> s.step().durationNanos());
        double communication = median(all, StepMetrics::commNanos);
        double exposed = median(all, StepMetrics::exposedNanos);
        double idle = median(all, StepMetrics::idleNanos);
        long shortest =
                all.stream().mapToLong(s -> s.step().durationNanos()).min().orElse(0);
        long longest =
                all.stream().mapToLong(s -> s.step().durationNanos()).max().orElse(0);
        sentences.add(text(
                "A step takes %.2f ms (median of %d; %.2f to %.2f), found by: %s.",
                step / 1e6,
                all.size(),
                shortest / 1e6,
                longest / 1e6,
                set.ranks().getFirst().stepKind().title()));
        if (communication > 0) {
            sentences.add(text(
                    "Communication runs for %.2f ms of it, %.2f ms of that with no computation behind it: %.0f%% of the"
                            + " step is exposed communication.",
                    communication / 1e6, exposed / 1e6, 100 * exposed / step));
        }
        sentences.add(text("The device is idle for %.2f ms of a step (%.1f%%).", idle / 1e6, 100 * idle / step));
    }

    private static void classes(RankSet set, List<String> sentences) {
        RankAnalysis rank = set.ranks().getFirst();
        long total = rank.classes().stream().mapToLong(ClassTotal::sumNanos).sum();
        StringBuilder largest = new StringBuilder();
        rank.classes().stream()
                .limit(4)
                .forEach(c -> largest.append(largest.isEmpty() ? "" : ", ")
                        .append(text("%s %.0f%%", c.kernelClass().title(), 100.0 * c.sumNanos() / Math.max(1, total))));
        sentences.add("Kernel time of rank " + rank.rank() + " goes to " + largest + "; most of it to "
                + Names.shorten(rank.kernels().getFirst().name(), 70) + ".");
    }

    private static void layers(RankSet set, List<String> sentences) {
        for (KernelClass kernelClass : new KernelClass[] {KernelClass.COMBINE, KernelClass.DISPATCH}) {
            for (RankAnalysis rank : set.ranks().stream().limit(2).toList()) {
                long[] values = rank.layers().stream()
                        .mapToLong(l -> l.nanos(kernelClass))
                        .filter(v -> v > 0)
                        .toArray();
                long median = Medians.of(values);
                LayerRow worst = rank.layers().stream()
                        .max(Comparator.comparingLong(l -> l.nanos(kernelClass)))
                        .orElse(null);
                if (worst != null && median > 0 && worst.nanos(kernelClass) > 1.2 * median) {
                    sentences.add(text(
                            "Rank %d: %s is slowest in layer %d, %.0f us against a median of %.0f us over %d layers.",
                            rank.rank(),
                            kernelClass.title(),
                            worst.layer(),
                            worst.nanos(kernelClass) / 1e3,
                            median / 1e3,
                            values.length));
                }
            }
        }
    }

    private static void stragglers(RankSet set, List<String> sentences) {
        Straggler worst = set.stragglers().stream()
                .max(Comparator.comparingLong(Straggler::waitCausedNanos))
                .orElse(null);
        if (worst == null || worst.timesLast() == 0) {
            return;
        }
        RankAnalysis rank = set.ranks().get(worst.rankIndex());
        boolean isPartial = set.ranks().stream()
                .anyMatch(r -> r.work().trace().info().worldSize() > set.ranks().size());
        sentences.add(text(
                "%s rank %d is last to arrive in %d of %d collectives; the others wait %.2f ms for it in sum%s.%s",
                isPartial ? "Among the ranks that are here," : "Straggler:",
                rank.rank(),
                worst.timesLast(),
                set.collectives().size(),
                worst.waitCausedNanos() / 1e6,
                worst.worstLayer() >= 0 ? ", most of it in layer " + worst.worstLayer() : "",
                worst.cause().isEmpty()
                        ? ""
                        : text(
                                " Before those it spends %.2f ms more on %s than the others do.",
                                worst.causeNanos() / 1e6,
                                worst.cause().equals("idle") ? "nothing (idle: the host is late)" : worst.cause())));
    }

    private static void sureness(RankSet set, List<String> sentences) {
        int steps = set.ranks().getFirst().steps().size();
        String text = "How sure: " + set.ranks().size() + " rank" + (set.ranks().size() == 1 ? "" : "s") + ", " + steps
                + " step" + (steps == 1 ? "" : "s") + " on the first";
        if (!set.collectives().isEmpty()) {
            long residual = set.clocks().stream()
                    .mapToLong(c -> c.residualNanos())
                    .max()
                    .orElse(0);
            text += text(
                    "; %d collectives matched, ends agree within %.1f us (median) between ranks",
                    set.collectives().size(), residual / 1e3);
        }
        long damaged = set.ranks().stream()
                .filter(r -> !r.work().trace().notes().isEmpty())
                .count();
        sentences.add(text + (damaged > 0 ? "; " + damaged + " file(s) were damaged, see the notes." : "."));
    }

    private static double median(List<StepMetrics> steps, ToLongFunction<StepMetrics> figure) {
        return Medians.of(steps.stream().mapToLong(figure).toArray());
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
