package dev.baton.trace.step;

import dev.baton.trace.read.EventKind;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Steps by graph launches: all device work that shares the correlation id of one launch. */
final class GraphReplays {
    /** Work that shares an id whose launch was not recorded counts as a replay from this many pieces on. */
    private static final int FEWEST_WITHOUT_LAUNCH = 16;
    /** Replays that hold a smaller part of the work than this do not make the steps. */
    private static final double LEAST_SHARE = 0.3;

    private GraphReplays() {}

    static List<Step> find(Work work, List<String> notes) {
        Events e = work.trace().events();
        Map<Long, List<Integer>> launches = new HashMap<>();
        java.util.Set<Long> otherCalls = new java.util.HashSet<>();
        for (int i = 0; i < e.size(); i++) {
            if (e.kind(i) == EventKind.RUNTIME && e.correlation(i) >= 0) {
                if (e.name(i).contains("GraphLaunch")) {
                    launches.computeIfAbsent(e.correlation(i), c -> new ArrayList<>())
                            .add(i);
                } else {
                    otherCalls.add(e.correlation(i));
                }
            }
        }
        Map<Long, IntStream.Builder> byCorrelation = new TreeMap<>();
        Map<Long, Integer> counts = new HashMap<>();
        for (int i : work.events()) {
            if (e.correlation(i) >= 0) {
                byCorrelation
                        .computeIfAbsent(e.correlation(i), c -> IntStream.builder())
                        .add(i);
                counts.merge(e.correlation(i), 1, Integer::sum);
            }
        }
        List<int[]> replays = new ArrayList<>();
        byCorrelation.forEach((correlation, events) -> {
            List<Integer> of = launches.get(correlation);
            boolean isUnseen = !otherCalls.contains(correlation)
                    && correlation > 0
                    && counts.getOrDefault(correlation, 0) >= FEWEST_WITHOUT_LAUNCH;
            if (of != null && of.size() > 1) {
                notes.add("correlation id " + correlation + " stands for " + of.size()
                        + " graph launches: their work was told apart by time");
                replays.addAll(split(e, of, events.build().toArray()));
            } else if (of != null || isUnseen) {
                replays.add(events.build().toArray());
            }
        });
        int inReplays = replays.stream().mapToInt(r -> r.length).sum();
        if (inReplays < LEAST_SHARE * work.events().length) {
            return List.of();
        }
        return steps(e, replays);
    }

    private static List<Step> steps(Events e, List<int[]> replays) {
        replays.sort(Comparator.comparingLong(r -> e.startNanos(r[0])));
        List<Step> steps = new ArrayList<>();
        for (int[] replay : replays) {
            steps.add(Step.of(StepKind.GRAPH_REPLAY, "replay " + steps.size(), e, replay, -1));
        }
        return steps;
    }

    /** Work belongs to the last launch of its id before it began. */
    private static List<int[]> split(Events e, List<Integer> launches, int[] events) {
        long[] starts = launches.stream().mapToLong(e::startNanos).sorted().toArray();
        List<IntStream.Builder> parts = new ArrayList<>();
        for (int i = 0; i < starts.length; i++) {
            parts.add(IntStream.builder());
        }
        for (int event : events) {
            int at = Arrays.binarySearch(starts, e.startNanos(event));
            parts.get(Math.max(0, at >= 0 ? at : -at - 2)).add(event);
        }
        return parts.stream()
                .map(p -> p.build().toArray())
                .filter(p -> p.length > 0)
                .toList();
    }
}
