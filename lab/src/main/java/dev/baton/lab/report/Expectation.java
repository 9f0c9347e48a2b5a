package dev.baton.lab.report;

import dev.baton.lab.report.Summary.Spread;
import dev.baton.lab.report.Summary.Verdict;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What an experiment expects of a figure, and what follows either way: the report draws its conclusion from it.
 *
 * @param metric a figure of {@link Summaries#METRICS}
 * @param cell whose figure is judged
 * @param ratio of the figure to the baseline's
 * @param value of the figure itself
 * @param holds what it means when the figure is so
 * @param fails what it means when it is not
 */
public record Expectation(String metric, String cell, Bounds ratio, Bounds value, String holds, String fails) {
    /**
     * @param atLeast smallest; null for any
     * @param atMost largest; null for any
     */
    public record Bounds(@Nullable Double atLeast, @Nullable Double atMost) {
        /** Any value is within. */
        public static final Bounds NONE = new Bounds(null, null);

        /** Whether any value is within. */
        public boolean isOpen() {
            return atLeast == null && atMost == null;
        }

        private boolean holds(double x) {
            return (atLeast == null || x >= atLeast) && (atMost == null || x <= atMost);
        }

        private List<String> words(String times) {
            List<String> words = new ArrayList<>();
            if (atLeast != null) {
                words.add("at least " + times + atLeast);
            }
            if (atMost != null) {
                words.add("at most " + times + atMost);
            }
            return words;
        }
    }

    /** Judges every expectation whose figures are there. */
    public static List<Verdict> judge(List<Expectation> expectations, String baseline, List<Summary.Cell> cells) {
        return expectations.stream()
                .flatMap(e -> {
                    Summary.Cell base = named(cells, baseline);
                    Summary.Cell cell = named(cells, e.cell);
                    return base == null || cell == null
                            ? java.util.stream.Stream.empty()
                            : java.util.stream.Stream.of(e.judge(base, cell));
                })
                .toList();
    }

    private static Summary.@Nullable Cell named(List<Summary.Cell> cells, String name) {
        return cells.stream().filter(c -> c.name().equals(name)).findFirst().orElse(null);
    }

    private Verdict judge(Summary.Cell base, Summary.Cell cell) {
        Spread a = Summaries.spread(metric, base);
        Spread b = Summaries.spread(metric, cell);
        if (b.values().length == 0) {
            return unknown(metric + " of " + cell.name() + " was not measured, so nothing follows (see the notes).");
        }
        if (!ratio.isOpen() && a.values().length == 0) {
            return unknown(String.format(
                    Locale.ROOT,
                    "%s of %s is %.4g, which %s does not have, so nothing follows (see the notes).",
                    metric,
                    cell.name(),
                    b.median(),
                    base.name()));
        }
        double times = a.median() == 0 ? Double.NaN : b.median() / a.median();
        boolean holding = (ratio.isOpen() || ratio.holds(times)) && value.holds(b.median());
        List<String> expected = new ArrayList<>(ratio.words("x"));
        expected.addAll(value.words(""));
        // A figure that is judged by itself needs no baseline to stand apart from.
        boolean apart = ratio.isOpen()
                ? value.holds(b.min()) == holding && value.holds(b.max()) == holding && b.values().length > 1
                : a.values().length > 1 && b.values().length > 1 && a.isApartFrom(b);
        String words = String.format(
                Locale.ROOT,
                "%s of %s is %.4g, %s (expected %s): %s%s",
                metric,
                cell.name(),
                b.median(),
                a.values().length == 0 || cell == base
                        ? "over " + b.values().length + " repeat(s)"
                        : String.format(Locale.ROOT, "x%.3g of %s's %.4g", times, base.name(), a.median()),
                String.join(" and ", expected),
                holding ? holds : fails,
                apart ? "" : " (The repeats overlap or are too few: a hint, no proof.)");
        return new Verdict(metric, cell.name(), times, holding, apart, words);
    }

    private Verdict unknown(String words) {
        return new Verdict(metric, cell, Double.NaN, false, false, words);
    }

    /** Figures that can be judged, by name. */
    public static Map<String, ?> metrics() {
        return Summaries.METRICS;
    }
}
