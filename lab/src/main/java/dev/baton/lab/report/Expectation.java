package dev.baton.lab.report;

import dev.baton.lab.report.Summary.Spread;
import dev.baton.lab.report.Summary.Verdict;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What an experiment expects of a figure, and what follows either way: the report draws its conclusion from it.
 *
 * @param metric a figure of {@link Summaries#METRICS}
 * @param cell whose figure over the baseline's is judged
 * @param atLeast smallest ratio; null for any
 * @param atMost largest ratio; null for any
 * @param holds what it means when the ratio is so
 * @param fails what it means when it is not
 */
public record Expectation(
        String metric,
        String cell,
        @Nullable Double atLeast,
        @Nullable Double atMost,
        String holds,
        String fails) {

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
        double ratio = a.median() == 0 ? Double.NaN : b.median() / a.median();
        boolean holding = (atLeast == null || ratio >= atLeast) && (atMost == null || ratio <= atMost);
        boolean apart = a.values().length > 1 && b.values().length > 1 && a.isApartFrom(b);
        String words = String.format(
                Locale.ROOT,
                "%s of %s is x%.2f of %s (expected %s): %s%s",
                metric,
                cell.name(),
                ratio,
                base.name(),
                range(),
                holding ? holds : fails,
                apart ? "" : " (The repeats overlap or are too few: a hint, no proof.)");
        return new Verdict(metric, cell.name(), ratio, holding, apart, words);
    }

    private String range() {
        String least = atLeast == null ? "" : "at least x" + atLeast;
        String most = atMost == null ? "" : "at most x" + atMost;
        return least.isEmpty() || most.isEmpty() ? least + most : least + " and " + most;
    }

    /** Figures that can be judged, by name. */
    public static Map<String, ?> metrics() {
        return Summaries.METRICS;
    }
}
