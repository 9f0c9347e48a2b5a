package dev.baton.trace.report;

import dev.baton.trace.align.Clock;
import dev.baton.trace.align.Collective;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.Straggler;
import dev.baton.trace.analyse.ClassTotal;
import dev.baton.trace.analyse.KernelTotal;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** The analysis for the terminal. */
public final class AnalysisText {
    private static final int MOST_STEPS = 12;
    private static final int MOST_COLLECTIVES = 16;

    private AnalysisText() {}

    /** Verdict, steps, classes and top kernels of each rank. */
    public static String analysis(RankSet set, List<String> notes, int top) {
        StringBuilder text = verdict(set);
        for (RankAnalysis r : set.ranks()) {
            text.append("\nrank ")
                    .append(r.rank())
                    .append("  ")
                    .append(r.displayName())
                    .append("  device ")
                    .append(r.work().device())
                    .append(", steps by ")
                    .append(r.stepKind().title())
                    .append('\n');
            text.append(steps(r)).append('\n').append(classes(r)).append('\n').append(kernels(r, top));
            r.notes().forEach(n -> text.append("note: ").append(n).append('\n'));
        }
        if (!set.stragglers().isEmpty()) {
            text.append('\n').append(stragglers(set));
        }
        notes.forEach(n -> text.append("note: ").append(n).append('\n'));
        return text.toString();
    }

    /** Verdict, clocks, who waits for whom and the worst collectives. */
    public static String ranks(RankSet set, List<String> notes) {
        StringBuilder text = verdict(set);
        text.append('\n').append(clocks(set));
        if (!set.collectives().isEmpty()) {
            text.append('\n').append(stragglers(set)).append('\n').append(collectives(set));
        }
        set.ranks()
                .forEach(r -> r.notes()
                        .forEach(n -> text.append("note: rank ")
                                .append(r.rank())
                                .append(": ")
                                .append(n)
                                .append('\n')));
        notes.forEach(n -> text.append("note: ").append(n).append('\n'));
        return text.toString();
    }

    private static StringBuilder verdict(RankSet set) {
        StringBuilder text = new StringBuilder();
        Verdict.of(set).forEach(s -> text.append(s).append('\n'));
        return text;
    }

    private static TextTable steps(RankAnalysis r) {
        TextTable table = new TextTable(
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
                "host");
        List<StepMetrics> steps = r.steps();
        steps.stream()
                .limit(MOST_STEPS)
                .forEach(s -> table.row(
                        s.step().name(),
                        s.kernels(),
                        ms(s.step().durationNanos()),
                        ms(s.computeNanos()),
                        ms(s.commNanos()),
                        ms(s.overlapNanos()),
                        ms(s.exposedNanos()),
                        ms(s.idleNanos()),
                        ms(s.dispatchNanos()),
                        ms(s.combineNanos()),
                        ms(s.allReduceNanos()),
                        ms(s.sendRecvNanos()),
                        s.step().hostNanos() < 0 ? "-" : ms(s.step().hostNanos())));
        if (steps.size() > MOST_STEPS) {
            table.row("… " + (steps.size() - MOST_STEPS) + " more", "", "", "", "", "", "", "", "", "", "", "", "");
        }
        return table;
    }

    private static TextTable classes(RankAnalysis r) {
        TextTable table = new TextTable("class", "kernels", "sum ms", "share", "rules");
        long total = r.classes().stream().mapToLong(ClassTotal::sumNanos).sum();
        for (ClassTotal c : r.classes()) {
            table.row(
                    c.kernelClass().title(),
                    c.kernels(),
                    ms(c.sumNanos()),
                    share(c.sumNanos(), total),
                    String.join(" ", c.rules()));
        }
        return table;
    }

    private static TextTable kernels(RankAnalysis r, int top) {
        TextTable table =
                new TextTable("kernel", "class", "count", "sum ms", "median us", "max us", "longest is event");
        for (KernelTotal k : r.kernels().stream().limit(top).toList()) {
            table.row(
                    Names.shorten(k.name(), 60),
                    k.kernelClass().title(),
                    k.count(),
                    ms(k.sumNanos()),
                    us(k.medianNanos()),
                    us(k.maxNanos()),
                    k.longestEvent());
        }
        return table;
    }

    private static TextTable stragglers(RankSet set) {
        TextTable table = new TextTable(
                "rank",
                "times last",
                "wait caused ms",
                "waited ms",
                "transfer ms",
                "worst layer",
                "did longer",
                "by ms");
        set.stragglers().stream()
                .sorted(Comparator.comparingLong(Straggler::waitCausedNanos).reversed())
                .limit(16)
                .forEach(s -> table.row(
                        set.ranks().get(s.rankIndex()).rank(),
                        s.timesLast(),
                        ms(s.waitCausedNanos()),
                        ms(s.waitedNanos()),
                        ms(s.transferNanos()),
                        s.worstLayer() < 0 ? "-" : s.worstLayer(),
                        s.cause().isEmpty() ? "-" : s.cause(),
                        ms(s.causeNanos())));
        return table;
    }

    private static TextTable collectives(RankSet set) {
        TextTable table = new TextTable(
                "collective", "index", "step", "layer", "ranks", "start spread us", "end spread us", "last rank");
        set.collectives().stream()
                .sorted(Comparator.comparingLong(Collective::startSpreadNanos).reversed())
                .limit(MOST_COLLECTIVES)
                .forEach(c -> table.row(
                        c.kind().title() + " " + Names.shorten(c.name(), 40),
                        c.index(),
                        c.step(),
                        c.layer() < 0 ? "-" : c.layer(),
                        c.calls().size(),
                        us(c.startSpreadNanos()),
                        us(c.endSpreadNanos()),
                        set.ranks().get(c.last().rankIndex()).rank()));
        return table;
    }

    private static TextTable clocks(RankSet set) {
        TextTable table = new TextTable(
                "rank", "file", "steps", "collectives", "clock offset us", "residual us", "p95 us", "corrected");
        for (int r = 0; r < set.ranks().size(); r++) {
            Clock c = set.clocks().get(r);
            RankAnalysis rank = set.ranks().get(r);
            table.row(
                    rank.rank(),
                    rank.displayName(),
                    rank.steps().size(),
                    r == 0 ? "reference" : c.matched(),
                    us(c.offsetNanos()),
                    us(c.residualNanos()),
                    us(c.residual95Nanos()),
                    c.isCorrected() ? "yes" : "no");
        }
        return table;
    }

    static String ms(long nanos) {
        return String.format(Locale.ROOT, "%.2f", nanos / 1e6);
    }

    static String us(long nanos) {
        return String.format(Locale.ROOT, "%.1f", nanos / 1e3);
    }

    static String share(long part, long whole) {
        return String.format(Locale.ROOT, "%.1f%%", 100.0 * part / Math.max(1, whole));
    }
}
