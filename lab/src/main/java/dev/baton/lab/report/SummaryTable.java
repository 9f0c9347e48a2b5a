package dev.baton.lab.report;

import dev.baton.lab.report.Summary.Spread;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** The table at the end of a run: one column a cell, median and range over the repeats. */
public final class SummaryTable {
    private static final int LABEL = 32;
    /** With more ranks only what they have in common is shown; the report has each. */
    private static final int MOST_RANKS = 4;

    private SummaryTable() {}

    /** Lines ended by LF. */
    public static String render(Summary summary) {
        StringBuilder table = new StringBuilder();
        List<String> names = summary.cells().stream().map(Summary.Cell::name).toList();
        int width = Math.max(26, names.stream().mapToInt(String::length).max().orElse(0) + 2);
        line(table, "", names, width);
        table.append("-".repeat(LABEL + width * names.size())).append('\n');
        row(table, summary, width, "repeats", c -> "" + c.repeats());
        row(table, summary, width, "requests completed / lost", c -> c.completed() + " / " + c.failed());
        spread(table, summary, width, "output tokens/s", Summary.Cell::outputThroughput);
        spread(table, summary, width, "TTFT mean (ms)", Summary.Cell::meanTtftMs);
        spread(table, summary, width, "TTFT p99 (ms)", Summary.Cell::p99TtftMs);
        spread(table, summary, width, "TPOT mean (ms)", Summary.Cell::meanTpotMs);
        spread(table, summary, width, "TPOT p99 (ms)", Summary.Cell::p99TpotMs);
        spread(table, summary, width, "ITL p99 (ms)", Summary.Cell::p99ItlMs);
        spread(table, summary, width, "latency mean (ms)", Summary.Cell::meanE2eMs);
        row(
                table,
                summary,
                width,
                "answers right",
                c -> c.accuracy() == null ? "-" : String.format(Locale.ROOT, "%.1f%%", 100 * c.accuracy()));
        List<String> ranks = ranks(summary);
        if (ranks.size() > 1) {
            spread(table, summary, width, "full-batch tokens/s a rank", Summaries::fullBatchRate);
            spread(table, summary, width, "full-batch step (ms)", Summaries::fullBatchStepMs);
        }
        if (ranks.size() <= MOST_RANKS) {
            ranks.forEach(rank -> row(table, summary, width, rank + " full-batch tok/s", c -> fullBatch(c, rank)));
        }
        if (summary.cells().stream().anyMatch(c -> !c.experts().isEmpty())) {
            row(table, summary, width, "expert balancedness", c -> text("%.3f", Summaries.balancedness(c)));
        }
        if (!summary.comparisons().isEmpty()) {
            table.append("\nAgainst ").append(summary.baseline()).append(":\n");
            summary.comparisons()
                    .forEach(c -> table.append("  ").append(c.words()).append('\n'));
        }
        summary.notes().forEach(n -> table.append("note: ").append(n).append('\n'));
        if (!summary.verdicts().isEmpty()) {
            table.append("\nConclusion:\n");
            summary.verdicts()
                    .forEach(v -> table.append(v.holds() ? "  yes: " : "  no:  ")
                            .append(v.words())
                            .append('\n'));
        }
        return table.toString();
    }

    /** {@code server rank} of every profiled rank, in order of appearance. */
    static List<String> ranks(Summary summary) {
        List<String> ranks = new ArrayList<>();
        summary.cells()
                .forEach(c -> c.ranks().forEach(r -> {
                    String key = key(r);
                    if (!ranks.contains(key)) {
                        ranks.add(key);
                    }
                }));
        return ranks;
    }

    static String key(Summary.RankSteps rank) {
        return rank.server() + " " + rank.rank();
    }

    private static String fullBatch(Summary.Cell cell, String rank) {
        List<Summary.RankSteps> steps =
                cell.ranks().stream().filter(r -> key(r).equals(rank)).toList();
        if (steps.isEmpty()) {
            return "-";
        }
        double rate = Spread.of(steps.stream()
                        .mapToDouble(Summary.RankSteps::tokensPerSecond)
                        .toArray())
                .median();
        double step = Spread.of(steps.stream()
                        .mapToDouble(Summary.RankSteps::medianStepMs)
                        .toArray())
                .median();
        return String.format(
                Locale.ROOT, "%.0f (bs %d, %.1f ms)", rate, steps.getFirst().batch(), step);
    }

    private static void spread(
            StringBuilder table, Summary summary, int width, String label, Function<Summary.Cell, Spread> figure) {
        row(table, summary, width, label, c -> text("%.1f", figure.apply(c)));
    }

    /** {@code median [min..max]}, a dash where nothing was measured. */
    private static String text(String number, Spread s) {
        return switch (s.values().length) {
            case 0 -> "-";
            case 1 -> String.format(Locale.ROOT, number, s.median());
            default ->
                String.format(Locale.ROOT, number + " [" + number + ".." + number + "]", s.median(), s.min(), s.max());
        };
    }

    private static void row(
            StringBuilder table, Summary summary, int width, String label, Function<Summary.Cell, String> text) {
        line(table, label, summary.cells().stream().map(text).toList(), width);
    }

    private static void line(StringBuilder table, String label, List<String> values, int width) {
        table.append(String.format(Locale.ROOT, "%-" + LABEL + "s", label));
        values.forEach(v -> table.append(String.format(Locale.ROOT, "%" + width + "s", v)));
        table.append('\n');
    }
}
