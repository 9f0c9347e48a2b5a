package dev.baton.trace.log;

import dev.baton.trace.analyse.Medians;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What the decode lines of a log amount to.
 *
 * @param cap most running requests any rank reached; a rank is full at 98% of it
 * @param ranks by label
 * @param firstSleep when slow_down first took effect; null when it never did
 * @param fullAt when the last rank became full; null when one never did
 * @param windows profile windows, each from the first rank's start to the last rank's end
 * @param imbalanceAt since when, ranks being full, the busiest rank had over 1.2 times the mean for 5 s or more; null
 *     when never
 * @param notes what a reader must know
 */
public record LogAnalysis(
        int cap,
        List<RankRow> ranks,
        @Nullable LocalDateTime firstSleep,
        @Nullable LocalDateTime fullAt,
        List<Window> windows,
        @Nullable LocalDateTime imbalanceAt,
        List<String> notes) {
    private static final double FULL = 0.98;
    private static final double IMBALANCE = 1.2;
    private static final int IMBALANCE_SECONDS = 5;

    /** A span of the server's local time, both ends included. */
    public record Window(LocalDateTime from, LocalDateTime to) {
        boolean holds(LocalDateTime time) {
            return !time.isBefore(from) && !time.isAfter(to);
        }
    }

    /**
     * One rank.
     *
     * @param rank label
     * @param decodeLines of it
     * @param fullLines of these, with the cap's running requests
     * @param fullAt when it first was full; null for never
     * @param medianFull median tokens/s over its full lines; NaN for none
     * @param medianInWindow of those, inside a profile window
     * @param medianAfterWindow of those, after the last window
     * @param afterWindowLines how many those are
     * @param inWindowLines how many lie in a window
     * @param acceptLength median over the full lines
     * @param sleeps times slow_down made it sleep
     * @param retracted requests it sent back
     */
    public record RankRow(
            String rank,
            int decodeLines,
            int fullLines,
            @Nullable LocalDateTime fullAt,
            double medianFull,
            double medianInWindow,
            double medianAfterWindow,
            int afterWindowLines,
            int inWindowLines,
            double acceptLength,
            int sleeps,
            int retracted) {}

    /** Analyses the decode lines; prefill lines have no part in it. */
    public static LogAnalysis of(ServerLog log) {
        List<String> notes = new ArrayList<>(log.notes());
        Map<String, List<BatchLine>> byRank =
                new TreeMap<>(Comparator.<String>comparingInt(String::length).thenComparing(Comparator.naturalOrder()));
        for (BatchLine line : log.batches()) {
            if (line.isDecode()) {
                byRank.computeIfAbsent(line.rank(), r -> new ArrayList<>()).add(line);
            }
        }
        int cap = byRank.values().stream()
                .flatMap(List::stream)
                .mapToInt(BatchLine::running)
                .max()
                .orElse(0);
        List<Window> windows = windows(log.events());
        List<RankRow> rows = new ArrayList<>();
        byRank.forEach((rank, lines) -> rows.add(row(rank, lines, cap, windows, log.events())));
        LocalDateTime fullAt = null;
        for (RankRow row : rows) {
            if (row.fullAt() == null) {
                fullAt = null;
                notes.add("rank " + row.rank() + " never reached " + cap + " running requests");
                break;
            }
            fullAt = fullAt == null || row.fullAt().isAfter(fullAt) ? row.fullAt() : fullAt;
        }
        LocalDateTime firstSleep = log.events().stream()
                .filter(e -> e.kind() == LogEvent.Kind.SLEEP)
                .map(LogEvent::time)
                .min(Comparator.naturalOrder())
                .orElse(null);
        missing(log, rows, notes);
        return new LogAnalysis(cap, rows, firstSleep, fullAt, windows, imbalance(byRank, fullAt), notes);
    }

    private static void missing(ServerLog log, List<RankRow> rows, List<String> notes) {
        String dp = log.arguments().get("dp_size");
        if (dp != null && dp.matches("\\d{1,6}") && Integer.parseInt(dp) > rows.size() && !rows.isEmpty()) {
            notes.add("the server has " + dp + " data-parallel ranks, " + rows.size() + " of them are in these files");
        }
    }

    private static List<Window> windows(List<LogEvent> events) {
        List<Window> windows = new ArrayList<>();
        List<LogEvent> sorted = new ArrayList<>(events);
        sorted.sort(Comparator.comparing(LogEvent::time));
        LocalDateTime from = null;
        LocalDateTime to = null;
        for (LogEvent e : sorted) {
            if (e.kind() == LogEvent.Kind.PROFILE_START) {
                boolean isNew = from == null
                        || to != null && Duration.between(to, e.time()).toSeconds() > 2;
                if (isNew && from != null && to != null) {
                    windows.add(new Window(from, to));
                }
                from = isNew ? e.time() : from;
                to = isNew ? null : to;
            } else if (from != null
                    && (e.kind() == LogEvent.Kind.PROFILE_STOP || e.kind() == LogEvent.Kind.PROFILE_DONE)) {
                to = e.time();
            }
        }
        if (from != null) {
            windows.add(new Window(from, to == null ? from : to));
        }
        return windows;
    }

    private static RankRow row(
            String rank, List<BatchLine> lines, int cap, List<Window> windows, List<LogEvent> events) {
        LocalDateTime fullAt = lines.stream()
                .filter(l -> cap > 1 && l.running() >= FULL * cap)
                .map(BatchLine::time)
                .min(Comparator.naturalOrder())
                .orElse(null);
        List<BatchLine> full = lines.stream().filter(l -> l.running() == cap).toList();
        Predicate<BatchLine> isIn = l -> windows.stream().anyMatch(w -> w.holds(l.time()));
        Predicate<BatchLine> isAfter =
                l -> !windows.isEmpty() && l.time().isAfter(windows.getLast().to());
        return new RankRow(
                rank,
                lines.size(),
                full.size(),
                fullAt,
                median(full, l -> true),
                median(full, isIn),
                median(full, isAfter),
                (int) full.stream().filter(isAfter).count(),
                (int) full.stream().filter(isIn).count(),
                Medians.of(full.stream().mapToDouble(BatchLine::acceptLength).toArray()),
                (int) events.stream()
                        .filter(e -> e.rank().equals(rank) && e.kind() == LogEvent.Kind.SLEEP)
                        .count(),
                (int) events.stream()
                        .filter(e -> e.rank().equals(rank) && e.kind() == LogEvent.Kind.RETRACT)
                        .mapToDouble(LogEvent::value)
                        .sum());
    }

    private static double median(List<BatchLine> lines, Predicate<BatchLine> which) {
        return Medians.of(
                lines.stream().filter(which).mapToDouble(BatchLine::throughput).toArray());
    }

    /** Running requests by second, each rank's last word carried on. */
    private static @Nullable LocalDateTime imbalance(
            Map<String, List<BatchLine>> byRank, @Nullable LocalDateTime fullAt) {
        if (byRank.size() < 2 || fullAt == null) {
            return null;
        }
        TreeMap<LocalDateTime, Map<String, Integer>> bySecond = new TreeMap<>();
        byRank.forEach((rank, lines) -> lines.forEach(l ->
                bySecond.computeIfAbsent(l.time(), t -> new LinkedHashMap<>()).put(rank, l.running())));
        Map<String, Integer> now = new LinkedHashMap<>();
        LocalDateTime since = null;
        for (Map.Entry<LocalDateTime, Map<String, Integer>> second : bySecond.entrySet()) {
            now.putAll(second.getValue());
            double mean =
                    now.values().stream().mapToInt(Integer::intValue).average().orElse(0);
            int most = now.values().stream().mapToInt(Integer::intValue).max().orElse(0);
            boolean isOff = !second.getKey().isBefore(fullAt) && mean > 0 && most > IMBALANCE * mean;
            since = !isOff ? null : since == null ? second.getKey() : since;
            if (since != null && Duration.between(since, second.getKey()).toSeconds() >= IMBALANCE_SECONDS) {
                return since;
            }
        }
        return null;
    }
}
