package dev.baton.lab.report;

import dev.baton.lab.client.ServingMetrics;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.report.Summary.Spread;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** Makes summaries from what the repeats found. */
public final class Summaries {
    private static final Map<String, Function<Summary.Cell, Spread>> COMPARED = new LinkedHashMap<>();

    /** Every figure that an expectation can name. */
    static final Map<String, Function<Summary.Cell, Spread>> METRICS = new LinkedHashMap<>();

    static {
        COMPARED.put("output_throughput", Summary.Cell::outputThroughput);
        COMPARED.put("mean_ttft_ms", Summary.Cell::meanTtftMs);
        COMPARED.put("p99_ttft_ms", Summary.Cell::p99TtftMs);
        COMPARED.put("mean_tpot_ms", Summary.Cell::meanTpotMs);
        COMPARED.put("p99_itl_ms", Summary.Cell::p99ItlMs);
        COMPARED.put("mean_e2e_latency_ms", Summary.Cell::meanE2eMs);
        METRICS.putAll(COMPARED);
        METRICS.put("full_batch_step_ms", Summaries::fullBatchStepMs);
        METRICS.put("full_batch_tokens_per_second_per_rank", Summaries::fullBatchRate);
        METRICS.put("expert_balancedness", Summaries::balancedness);
    }

    private Summaries() {}

    /** One cell from the metrics of its repeats. */
    public static Summary.Cell cell(
            String name,
            List<ServingMetrics> runs,
            Evaluation.Report answers,
            List<Summary.RankSteps> ranks,
            List<Summary.ExpertLoad> experts) {
        Map<String, Double> byDomain = new LinkedHashMap<>();
        answers.byDomain().forEach((domain, score) -> byDomain.put(domain, score.accuracy()));
        return new Summary.Cell(
                name,
                runs.size(),
                runs.stream().mapToInt(ServingMetrics::completed).sum(),
                runs.stream().mapToInt(ServingMetrics::failed).sum(),
                spread(runs, ServingMetrics::outputThroughput),
                spread(runs, ServingMetrics::totalThroughput),
                spread(runs, m -> m.e2eMillis().mean()),
                spread(runs, m -> m.e2eMillis().at(99)),
                spread(runs, m -> m.ttftMillis().mean()),
                spread(runs, m -> m.ttftMillis().at(99)),
                spread(runs, m -> m.tpotMillis().mean()),
                spread(runs, m -> m.tpotMillis().at(99)),
                spread(runs, m -> m.itlMillis().mean()),
                spread(runs, m -> m.itlMillis().at(99)),
                answers.outcomes().isEmpty() ? null : answers.total().accuracy(),
                byDomain,
                ranks,
                experts);
    }

    /** A figure of a cell over its repeats. */
    static Spread spread(String metric, Summary.Cell cell) {
        return java.util.Objects.requireNonNull(METRICS.get(metric), metric).apply(cell);
    }

    /** The slowest rank's median step of each repeat: the others wait for it. */
    static Spread fullBatchStepMs(Summary.Cell cell) {
        return Spread.of(slowestMs(cell).values().stream().mapToDouble(d -> d).toArray());
    }

    private static Map<Integer, Double> slowestMs(Summary.Cell cell) {
        Map<Integer, Double> slowest = new TreeMap<>();
        cell.ranks().forEach(rank -> slowest.merge(rank.repeat(), rank.medianStepMs(), Math::max));
        return slowest;
    }

    /** Tokens of the mean rank over the slowest one's step, as published recipes count tokens/s of one GPU. */
    static Spread fullBatchRate(Summary.Cell cell) {
        Map<Integer, Double> batch = cell.ranks().stream()
                .collect(Collectors.groupingBy(
                        Summary.RankSteps::repeat, TreeMap::new, Collectors.averagingDouble(Summary.RankSteps::batch)));
        Map<Integer, Double> slowest = slowestMs(cell);
        return Spread.of(batch.entrySet().stream()
                .mapToDouble(e -> 1000 * e.getValue() / java.util.Objects.requireNonNull(slowest.get(e.getKey())))
                .toArray());
    }

    /** How evenly experts' tokens fell on their ranks, servers of a repeat averaged. */
    static Spread balancedness(Summary.Cell cell) {
        Map<Integer, List<Double>> ofRepeat = new TreeMap<>();
        for (Summary.ExpertLoad load : cell.experts()) {
            Double value = load.balancedness();
            if (value != null) {
                ofRepeat.computeIfAbsent(load.repeat(), r -> new ArrayList<>()).add(value);
            }
        }
        return Spread.of(ofRepeat.values().stream()
                .mapToDouble(
                        values -> values.stream().mapToDouble(d -> d).average().orElse(0))
                .toArray());
    }

    private static Spread spread(List<ServingMetrics> runs, ToDoubleFunction<ServingMetrics> figure) {
        return Spread.of(runs.stream().mapToDouble(figure).toArray());
    }

    /** Each cell but the baseline, metric by metric. */
    public static List<Summary.Comparison> compare(String baseline, List<Summary.Cell> cells) {
        List<Summary.Comparison> comparisons = new ArrayList<>();
        Summary.Cell base = cells.stream()
                .filter(c -> c.name().equals(baseline))
                .findFirst()
                .orElse(null);
        for (Summary.Cell cell : cells) {
            if (base == null || cell == base) {
                continue;
            }
            COMPARED.forEach((metric, figure) -> comparisons.add(comparison(metric, base, cell, figure)));
        }
        return comparisons;
    }

    private static Summary.Comparison comparison(
            String metric, Summary.Cell base, Summary.Cell cell, Function<Summary.Cell, Spread> figure) {
        Spread a = figure.apply(base);
        Spread b = figure.apply(cell);
        double ratio = a.median() == 0 ? Double.NaN : b.median() / a.median();
        boolean apart = a.values().length > 1 && b.values().length > 1 && a.isApartFrom(b);
        String verdict = a.values().length < 2 || b.values().length < 2
                ? "one repeat has no spread, so this difference is not judged"
                : apart ? "larger than the spread of the repeats" : "within the spread of the repeats";
        String words = String.format(
                Locale.ROOT,
                "%s: %s %.4g, %s %.4g (x%.2f), %s",
                metric,
                base.name(),
                a.median(),
                cell.name(),
                b.median(),
                ratio,
                verdict);
        return new Summary.Comparison(metric, cell.name(), a.median(), b.median(), ratio, apart, words);
    }
}
