package dev.baton.trace.report;

import dev.baton.trace.align.Clock;
import dev.baton.trace.align.Collective;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.Straggler;
import dev.baton.trace.analyse.ClassTotal;
import dev.baton.trace.analyse.KernelTotal;
import dev.baton.trace.analyse.LayerRow;
import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** The analysis as a page for people who were not there. */
public final class AnalysisPage {
    private static final int MOST_STEPS = 40;
    private static final int MOST_KERNELS = 25;
    private static final int MOST_RANKS_IN_FULL = 4;

    private final RankSet set;
    private final Html page;

    private AnalysisPage(RankSet set, Html page) {
        this.set = set;
        this.page = page;
    }

    /** Writes the page. */
    public static void write(RankSet set, List<String> notes, String title, Path file) {
        String lead = set.ranks().size() + " rank(s): "
                + String.join(
                        ", ",
                        set.ranks().stream()
                                .limit(8)
                                .map(RankAnalysis::displayName)
                                .toList())
                + (set.ranks().size() > 8 ? ", …" : "");
        Html page = new Html(title, lead);
        page.verdict(Verdict.of(set));
        page.notes(notes);
        AnalysisPage self = new AnalysisPage(set, page);
        if (!set.ranks().isEmpty()) {
            self.overview();
            self.heatMap();
            self.acrossRanks();
            self.classMatrix();
            set.ranks().stream().limit(MOST_RANKS_IN_FULL).forEach(self::rank);
        }
        page.small("A step runs from the first start of its work to the last end. Compute and communication are unions"
                + " (time counts once however many kernels run); overlap is the time in which both run; exposed is"
                + " communication minus overlap; idle is the step minus all of it. Dispatch, combine, all-reduce and"
                + " send-recv are sums. Waiting is the part of a collective before its last rank began.");
        page.write(file);
    }

    private void overview() {
        page.heading("Where a step goes, median by rank");
        List<RankAnalysis> ranks = set.ranks().stream().limit(64).toList();
        double[][] values = new double[ranks.size()][];
        for (int r = 0; r < values.length; r++) {
            List<StepMetrics> steps = ranks.get(r).steps();
            values[r] = new double[] {
                ms(steps.stream()
                        .mapToLong(s -> s.computeNanos() - s.overlapNanos())
                        .toArray()),
                ms(steps.stream().mapToLong(StepMetrics::overlapNanos).toArray()),
                ms(steps.stream().mapToLong(StepMetrics::exposedNanos).toArray()),
                ms(steps.stream().mapToLong(StepMetrics::idleNanos).toArray())
            };
        }
        page.stackedBars(
                ranks.stream().map(r -> "rank " + r.rank()).toList(),
                List.of("compute alone", "compute and communication", "exposed communication", "idle"),
                values,
                "ms");
    }

    private void heatMap() {
        int steps = set.ranks().stream().mapToInt(r -> r.steps().size()).max().orElse(0);
        if (set.ranks().size() < 2 || steps == 0) {
            return;
        }
        int shown = Math.min(steps, 24);
        page.heading("Steps by rank: length in ms, and what of it was waiting in collectives");
        List<String> head = new ArrayList<>(List.of("rank"));
        IntStream.range(0, shown).forEach(s -> head.add("step " + s));
        long longest = set.ranks().stream()
                .flatMap(r -> r.steps().stream())
                .mapToLong(s -> s.step().durationNanos())
                .max()
                .orElse(1);
        long mostWait = IntStream.range(0, set.ranks().size())
                .mapToLong(
                        r -> java.util.Arrays.stream(set.waitNanos()[r]).max().orElse(0))
                .max()
                .orElse(0);
        List<List<Object>> rows = new ArrayList<>();
        for (int r = 0; r < set.ranks().size(); r++) {
            RankAnalysis rank = set.ranks().get(r);
            List<Object> row = new ArrayList<>(List.of(rank.rank()));
            for (int s = 0; s < shown; s++) {
                if (s >= rank.steps().size()) {
                    row.add("");
                    continue;
                }
                long step = rank.steps().get(s).step().durationNanos();
                long wait = set.waitNanos()[r][s];
                row.add(Html.Cell.heat(
                        AnalysisText.ms(step) + (mostWait > 0 ? " (" + AnalysisText.ms(wait) + ")" : ""),
                        rank.steps().get(s).step().name(),
                        mostWait > 0 ? (double) wait / mostWait : (double) step / longest));
            }
            rows.add(row);
        }
        page.table(head, rows);
        page.small(
                mostWait > 0
                        ? "In brackets and by colour: waiting. A rank that waits little while the others wait is the one they"
                                + " wait for."
                        : "By colour: length.");
    }

    private void acrossRanks() {
        if (set.collectives().isEmpty()) {
            return;
        }
        page.heading("Who waits for whom");
        List<List<Object>> rows = new ArrayList<>();
        long most = set.stragglers().stream()
                .mapToLong(Straggler::waitCausedNanos)
                .max()
                .orElse(1);
        for (Straggler s : set.stragglers()) {
            Clock c = set.clocks().get(s.rankIndex());
            rows.add(List.of(
                    set.ranks().get(s.rankIndex()).rank(),
                    s.timesLast() + " of " + set.collectives().size(),
                    Html.Cell.heat(
                            AnalysisText.ms(s.waitCausedNanos()), "", s.waitCausedNanos() / (double) Math.max(1, most)),
                    AnalysisText.ms(s.waitedNanos()),
                    AnalysisText.ms(s.transferNanos()),
                    s.worstLayer() < 0 ? "–" : s.worstLayer(),
                    s.cause().isEmpty() ? "–" : s.cause() + " +" + AnalysisText.ms(s.causeNanos()) + " ms",
                    AnalysisText.us(c.offsetNanos()) + " ± " + AnalysisText.us(c.residualNanos())
                            + (c.isCorrected() ? ", taken out" : "")));
        }
        page.table(
                List.of(
                        "rank",
                        "last to arrive",
                        "wait it caused (ms)",
                        "waited itself (ms)",
                        "transfer (ms)",
                        "worst layer",
                        "did longer than the others",
                        "clock to first rank (us)"),
                rows);
        page.heading("Collectives with the widest start spread");
        List<List<Object>> worst = new ArrayList<>();
        set.collectives().stream()
                .sorted(Comparator.comparingLong(Collective::startSpreadNanos).reversed())
                .limit(20)
                .forEach(c -> worst.add(List.of(
                        Html.Cell.name(c.name()),
                        c.index(),
                        c.step(),
                        c.layer() < 0 ? "–" : c.layer(),
                        c.calls().size(),
                        AnalysisText.us(c.startSpreadNanos()),
                        AnalysisText.us(c.endSpreadNanos()),
                        set.ranks().get(c.last().rankIndex()).rank())));
        page.table(
                List.of(
                        "collective",
                        "index",
                        "step",
                        "layer",
                        "ranks",
                        "start spread us",
                        "end spread us",
                        "last rank"),
                worst);
    }

    private void classMatrix() {
        if (set.ranks().size() < 2) {
            return;
        }
        page.heading("Kernel time by rank and class (ms, whole trace)");
        List<KernelClass> classes = new ArrayList<>(List.of(KernelClass.values()));
        classes.removeIf(k -> set.ranks().stream().noneMatch(r -> sum(r, k) > 0));
        List<String> head = new ArrayList<>(List.of("rank"));
        classes.forEach(k -> head.add(k.title()));
        List<List<Object>> rows = new ArrayList<>();
        long total =
                classes.stream().mapToLong(k -> sum(set.ranks().getFirst(), k)).sum();
        for (RankAnalysis r : set.ranks()) {
            List<Object> row = new ArrayList<>(List.of(r.rank()));
            for (KernelClass k : classes) {
                long lowest =
                        set.ranks().stream().mapToLong(o -> sum(o, k)).min().orElse(0);
                long highest =
                        set.ranks().stream().mapToLong(o -> sum(o, k)).max().orElse(0);
                boolean isWide = highest - lowest > 0.03 * highest && highest - lowest > 0.001 * total;
                row.add(Html.Cell.heat(
                        AnalysisText.ms(sum(r, k)),
                        k.title(),
                        isWide ? (sum(r, k) - lowest) / (double) (highest - lowest) : 0));
            }
            rows.add(row);
        }
        page.table(head, rows);
        page.small("Coloured where ranks differ by more than 3% of the class and 0.1% of all kernel time.");
    }

    private static long sum(RankAnalysis r, KernelClass kernelClass) {
        return r.classes().stream()
                .filter(c -> c.kernelClass() == kernelClass)
                .mapToLong(ClassTotal::sumNanos)
                .sum();
    }

    private void rank(RankAnalysis r) {
        page.heading("Rank " + r.rank() + " (device " + r.work().device() + "): steps by "
                + r.stepKind().title());
        page.notes(r.notes());
        List<List<Object>> steps = new ArrayList<>();
        for (StepMetrics s : r.steps().stream().limit(MOST_STEPS).toList()) {
            steps.add(List.of(
                    s.step().name(),
                    s.kernels(),
                    AnalysisText.ms(s.step().durationNanos()),
                    AnalysisText.ms(s.computeNanos()),
                    AnalysisText.ms(s.commNanos()),
                    AnalysisText.ms(s.overlapNanos()),
                    AnalysisText.ms(s.exposedNanos()),
                    AnalysisText.ms(s.idleNanos()),
                    AnalysisText.ms(s.dispatchNanos()),
                    AnalysisText.ms(s.combineNanos()),
                    AnalysisText.ms(s.allReduceNanos()),
                    AnalysisText.ms(s.sendRecvNanos()),
                    s.step().hostNanos() < 0 ? "–" : AnalysisText.ms(s.step().hostNanos()),
                    events(r, s)));
        }
        page.table(
                List.of(
                        "step (ms)",
                        "kernels",
                        "step",
                        "compute",
                        "comm",
                        "overlap",
                        "exposed",
                        "idle",
                        "dispatch",
                        "combine",
                        "all-reduce",
                        "send-recv",
                        "host mark",
                        "events"),
                steps);
        if (r.steps().size() > MOST_STEPS) {
            page.small((r.steps().size() - MOST_STEPS) + " more steps are in the JSON.");
        }
        layers(r);
        kernels(r);
    }

    private static String events(RankAnalysis r, StepMetrics s) {
        int[] events = s.step().events();
        return r.work().trace().events().ordinal(events[0]) + "…"
                + r.work().trace().events().ordinal(events[events.length - 1]);
    }

    private void layers(RankAnalysis r) {
        if (r.layers().isEmpty()) {
            return;
        }
        page.heading("Rank " + r.rank() + ", layers: sum of kernel time by class, median over the steps");
        List<KernelClass> classes = new ArrayList<>(List.of(KernelClass.values()));
        classes.removeIf(k -> r.layers().stream().noneMatch(l -> l.nanos(k) > 0));
        double[][] values = new double[r.layers().size()][classes.size()];
        for (LayerRow layer : r.layers()) {
            for (int k = 0; k < classes.size(); k++) {
                values[layer.layer()][k] = layer.nanos(classes.get(k)) / 1e3;
            }
        }
        page.stackedColumns("layer", classes.stream().map(KernelClass::title).toList(), values, "us");
        page.small("A layer begins at the residual norm before its attention kernel.");
    }

    private void kernels(RankAnalysis r) {
        page.heading("Rank " + r.rank() + ", kernels with most time");
        long total = r.kernels().stream().mapToLong(KernelTotal::sumNanos).sum();
        List<List<Object>> rows = new ArrayList<>();
        for (KernelTotal k : r.kernels().stream().limit(MOST_KERNELS).toList()) {
            rows.add(List.of(
                    Html.Cell.name(k.name()),
                    k.kernelClass().title(),
                    k.rule(),
                    k.count(),
                    AnalysisText.ms(k.sumNanos()),
                    AnalysisText.share(k.sumNanos(), total),
                    AnalysisText.us(k.minNanos()),
                    AnalysisText.us(k.medianNanos()),
                    AnalysisText.us(k.maxNanos()),
                    k.longestEvent()));
        }
        page.table(
                List.of(
                        "kernel",
                        "class",
                        "by rule",
                        "count",
                        "sum ms",
                        "share",
                        "min us",
                        "median us",
                        "max us",
                        "longest: event"),
                rows);
    }

    private static double ms(long[] nanos) {
        return Medians.of(nanos) / 1e6;
    }
}
