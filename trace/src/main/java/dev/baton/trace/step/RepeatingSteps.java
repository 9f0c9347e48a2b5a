package dev.baton.trace.step;

import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Steps by repetition: a kernel that comes a few times, with the same sequence of kernels between its occurrences, begins
 * a step. The rarest such kernel wins, because it bounds the longest repeated sequence.
 */
final class RepeatingSteps {
    private static final int FEWEST_STEPS = 3;
    private static final int MOST_CANDIDATES = 64;
    /** So much of the segments must have the same sequence, and so much of the work lie in them. */
    private static final double LEAST_ALIKE = 0.6;

    private RepeatingSteps() {}

    static List<Step> find(Work work) {
        Events e = work.trace().events();
        int[] events = work.events();
        Map<Integer, IntStream.Builder> positions = new HashMap<>();
        Map<Integer, Integer> counts = new HashMap<>();
        for (int k = 0; k < events.length; k++) {
            positions
                    .computeIfAbsent(e.nameId(events[k]), n -> IntStream.builder())
                    .add(k);
            counts.merge(e.nameId(events[k]), 1, Integer::sum);
        }
        List<Integer> candidates = counts.entrySet().stream()
                .filter(c -> c.getValue() >= FEWEST_STEPS)
                .sorted(Map.Entry.<Integer, Integer>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
                .limit(MOST_CANDIDATES)
                .map(Map.Entry::getKey)
                .toList();
        int[] best = {};
        long bestGap = Long.MIN_VALUE;
        for (int name : candidates) {
            int[] at = Objects.requireNonNull(positions.get(name)).build().toArray();
            if (best.length > 0 && at.length != best.length) {
                break;
            }
            if (isRegular(e, events, at)) {
                long gap = medianGapBefore(e, events, at);
                if (gap > bestGap) {
                    best = at;
                    bestGap = gap;
                }
            }
        }
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < best.length; i++) {
            int to = i + 1 < best.length ? best[i + 1] : Math.min(events.length, best[i] + usual(best));
            steps.add(Step.of(StepKind.REPETITION, "repetition " + i, e, Arrays.copyOfRange(events, best[i], to), -1));
        }
        return steps;
    }

    /** The usual number of kernels from one beginning to the next. */
    private static int usual(int[] at) {
        int[] lengths = IntStream.range(1, at.length)
                .map(i -> at[i] - at[i - 1])
                .sorted()
                .toArray();
        return lengths[lengths.length / 2];
    }

    private static boolean isRegular(Events e, int[] events, int[] at) {
        Map<Long, Integer> hashes = new HashMap<>();
        for (int i = 1; i < at.length; i++) {
            long hash = 1;
            for (int k = at[i - 1]; k < at[i]; k++) {
                hash = 31 * hash + e.nameId(events[k]);
            }
            hashes.merge(hash, 1, Integer::sum);
        }
        int alike = hashes.values().stream().mapToInt(Integer::intValue).max().orElse(0);
        int covered = at[at.length - 1] - at[0] + usual(at);
        return alike >= LEAST_ALIKE * (at.length - 1) && usual(at) > 1 && covered >= LEAST_ALIKE * events.length;
    }

    private static long medianGapBefore(Events e, int[] events, int[] at) {
        long[] gaps = IntStream.of(at)
                .filter(k -> k > 0)
                .mapToLong(k -> e.startNanos(events[k]) - e.endNanos(events[k - 1]))
                .sorted()
                .toArray();
        return gaps.length == 0 ? 0 : gaps[gaps.length / 2];
    }
}
