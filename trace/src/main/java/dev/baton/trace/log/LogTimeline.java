package dev.baton.trace.log;

import java.time.Duration;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * A log's decode lines over time, as plots want them: the stretch with most lines. A server that sleeps or idles for
 * minutes writes none, and a line across such a gap would show what never was.
 *
 * @param start of the stretch
 * @param end of it
 * @param byRank its decode lines by rank, by time
 * @param marks what happened when
 */
public record LogTimeline(
        LocalDateTime start, LocalDateTime end, Map<String, List<BatchLine>> byRank, List<Mark> marks) {
    /** More ranks than this are drawn as the lowest, middle and highest of them. */
    private static final int MOST_LINES = 8;

    private static final int GAP_SECONDS = 30;
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss", Locale.ROOT);

    /**
     * A line of a plot.
     *
     * @param seconds after the start, ascending
     * @param values one for each
     */
    public record Series(String name, double[] seconds, double[] values) {}

    /** What happened. */
    public enum Event {
        SLOW_DOWN,
        FULL,
        PROFILE,
        IMBALANCE
    }

    /**
     * A moment to mark.
     *
     * @param seconds after the start
     */
    public record Mark(Event event, String label, double seconds) {}

    /** The timeline of a log; null when it has no decode lines. */
    public static @Nullable LogTimeline of(ServerLog log, LogAnalysis analysis) {
        List<BatchLine> drawn = busiestStretch(log);
        if (drawn.isEmpty()) {
            return null;
        }
        Map<String, List<BatchLine>> byRank = new LinkedHashMap<>();
        analysis.ranks().forEach(r -> byRank.put(r.rank(), new ArrayList<>()));
        drawn.forEach(
                b -> byRank.computeIfAbsent(b.rank(), r -> new ArrayList<>()).add(b));
        byRank.values().removeIf(List::isEmpty);
        LocalDateTime start = drawn.getFirst().time();
        LocalDateTime end = drawn.getLast().time();
        List<Mark> marks = new ArrayList<>();
        LogTimeline timeline = new LogTimeline(start, end, byRank, marks);
        timeline.mark(Event.SLOW_DOWN, "slow_down", analysis.firstSleep());
        timeline.mark(Event.FULL, "all full", analysis.fullAt());
        analysis.windows()
                .forEach(w -> timeline.mark(Event.PROFILE, "profile " + w.from().format(TIME), w.from()));
        timeline.mark(Event.IMBALANCE, "imbalance", analysis.imbalanceAt());
        return timeline;
    }

    private void mark(Event event, String label, @Nullable LocalDateTime at) {
        if (at != null && !at.isBefore(start) && !at.isAfter(end)) {
            marks.add(new Mark(event, label, seconds(at)));
        }
    }

    /** Decode lines by time, from one gap to the next. */
    private static List<BatchLine> busiestStretch(ServerLog log) {
        List<BatchLine> lines = log.batches().stream()
                .filter(BatchLine::isDecode)
                .sorted(Comparator.comparing(BatchLine::time))
                .toList();
        List<BatchLine> best = List.of();
        int from = 0;
        for (int i = 1; i <= lines.size(); i++) {
            boolean isEnd = i == lines.size()
                    || Duration.between(lines.get(i - 1).time(), lines.get(i).time())
                                    .toSeconds()
                            > GAP_SECONDS;
            if (isEnd) {
                best = i - from > best.size() ? lines.subList(from, i) : best;
                from = i;
            }
        }
        return best;
    }

    /** The start on the server's clock, to the second. */
    public String startTime() {
        return start.format(TIME);
    }

    private double seconds(LocalDateTime time) {
        return Duration.between(start, time).toMillis() / 1e3;
    }

    /** A figure over time: a line a rank, or of many ranks the lowest, middle and highest of each second. */
    public List<Series> series(ToDoubleFunction<BatchLine> figure) {
        if (byRank.size() > MOST_LINES) {
            return band(figure);
        }
        List<Series> series = new ArrayList<>();
        byRank.forEach((rank, lines) -> series.add(new Series(
                rank.isEmpty() ? "server" : rank,
                spread(lines),
                lines.stream().mapToDouble(figure).toArray())));
        return series;
    }

    /** Logs tell whole seconds: lines of one second are laid evenly over it. */
    private double[] spread(List<BatchLine> lines) {
        double[] x = new double[lines.size()];
        int from = 0;
        for (int i = 1; i <= x.length; i++) {
            boolean isEnd =
                    i == x.length || !lines.get(i).time().equals(lines.get(from).time());
            if (isEnd) {
                for (int k = from; k < i; k++) {
                    x[k] = seconds(lines.get(from).time()) + (double) (k - from) / (i - from);
                }
                from = i;
            }
        }
        return x;
    }

    private List<Series> band(ToDoubleFunction<BatchLine> figure) {
        TreeMap<Double, List<Double>> bySecond = new TreeMap<>();
        byRank.values()
                .forEach(lines -> lines.forEach(l -> bySecond.computeIfAbsent(seconds(l.time()), s -> new ArrayList<>())
                        .add(figure.applyAsDouble(l))));
        double[] x = bySecond.keySet().stream().mapToDouble(Double::doubleValue).toArray();
        String[] names = {"lowest rank", "median rank", "highest rank"};
        List<Series> series = new ArrayList<>();
        for (int q = 0; q < names.length; q++) {
            double share = q / 2.0;
            double[] y = bySecond.values().stream()
                    .mapToDouble(values -> {
                        double[] sorted =
                                values.stream().mapToDouble(Double::doubleValue).toArray();
                        Arrays.sort(sorted);
                        return sorted[(int) Math.round(share * (sorted.length - 1))];
                    })
                    .toArray();
            series.add(new Series(names[q], x, y));
        }
        return series;
    }
}
