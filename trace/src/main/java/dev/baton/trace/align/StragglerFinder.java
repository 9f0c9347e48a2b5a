package dev.baton.trace.align;

import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Says for each rank how often others waited for it, where, and what it did meanwhile: the class of work between the
 * collective before and the late one that took longer than on the other ranks.
 */
final class StragglerFinder {
    private static final int IDLE = KernelClass.values().length;

    private final List<RankAnalysis> ranks;
    private final List<Collective> collectives;
    private final long[][] starts;
    /** End of the matched collective before (at first: the first work of any rank), by rank, in its trace's own time. */
    private final long[] previousEnds;

    StragglerFinder(List<RankAnalysis> ranks, List<Collective> collectives) {
        this.ranks = ranks;
        this.collectives = collectives;
        this.starts = new long[ranks.size()][];
        this.previousEnds = new long[ranks.size()];
        for (int r = 0; r < starts.length; r++) {
            RankAnalysis rank = ranks.get(r);
            Events e = rank.work().trace().events();
            starts[r] =
                    Arrays.stream(rank.work().events()).mapToLong(e::startNanos).toArray();
        }
    }

    /** Before the first collective every rank counts from the same instant: the first work of any of them. */
    private void countFromFirstWork() {
        long[] shift = new long[ranks.size()];
        boolean[] isKnown = new boolean[ranks.size()];
        long first = Long.MAX_VALUE;
        for (Collective c : collectives) {
            for (Collective.Call call : c.calls()) {
                Events e = ranks.get(call.rankIndex()).work().trace().events();
                shift[call.rankIndex()] = call.startNanos() - e.startNanos(call.event());
                isKnown[call.rankIndex()] = true;
            }
        }
        for (int r = 0; r < shift.length; r++) {
            if (isKnown[r]) {
                first = Math.min(first, starts[r][0] + shift[r]);
            }
        }
        for (int r = 0; r < shift.length; r++) {
            previousEnds[r] = first - shift[r];
        }
    }

    List<Straggler> find() {
        countFromFirstWork();
        int n = ranks.size();
        int[] timesLast = new int[n];
        long[] caused = new long[n];
        long[] waited = new long[n];
        long[] transferred = new long[n];
        List<Map<Integer, Long>> byLayer = maps(n);
        List<Map<Integer, Long>> byStep = maps(n);
        long[][] excess = new long[n][IDLE + 1];
        for (Collective c : collectives) {
            int last = c.last().rankIndex();
            long wait = 0;
            for (Collective.Call call : c.calls()) {
                waited[call.rankIndex()] += c.waitNanos(call);
                transferred[call.rankIndex()] += c.transferNanos(call);
                wait += c.waitNanos(call);
            }
            timesLast[last]++;
            caused[last] += wait;
            byLayer.get(last).merge(c.layer(), wait, Long::sum);
            byStep.get(last).merge(c.step(), wait, Long::sum);
            if (wait > 0) {
                addExcess(c, last, excess[last]);
            }
            for (Collective.Call call : c.calls()) {
                Events e = ranks.get(call.rankIndex()).work().trace().events();
                previousEnds[call.rankIndex()] = Math.max(previousEnds[call.rankIndex()], e.endNanos(call.event()));
            }
        }
        List<Straggler> found = new ArrayList<>();
        for (int r = 0; r < n; r++) {
            int cause = largest(excess[r]);
            boolean isKnown = cause >= 0 && excess[r][cause] > 0;
            found.add(new Straggler(
                    r,
                    timesLast[r],
                    caused[r],
                    waited[r],
                    transferred[r],
                    worst(byLayer.get(r)),
                    worst(byStep.get(r)),
                    !isKnown ? "" : cause == IDLE ? "idle" : KernelClass.values()[cause].title(),
                    isKnown ? excess[r][cause] : 0));
        }
        return found;
    }

    private static List<Map<Integer, Long>> maps(int n) {
        List<Map<Integer, Long>> maps = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            maps.add(new HashMap<>());
        }
        return maps;
    }

    private static int worst(Map<Integer, Long> waits) {
        return waits.entrySet().stream()
                .filter(w -> w.getValue() > 0)
                .max(Map.Entry.comparingByValue())
                .map(Map.Entry::getKey)
                .orElse(-1);
    }

    private static int largest(long[] values) {
        return java.util.stream.IntStream.range(0, values.length)
                .boxed()
                .max(Comparator.comparingLong(i -> values[i]))
                .orElse(-1);
    }

    /** Adds what the late rank did longer than the median of the others since the collective before. */
    private void addExcess(Collective c, int last, long[] excess) {
        List<long[]> others = new ArrayList<>();
        long[] own = new long[IDLE + 1];
        for (Collective.Call call : c.calls()) {
            long[] did = before(call.rankIndex(), call.event());
            if (call.rankIndex() == last) {
                own = did;
            } else {
                others.add(did);
            }
        }
        if (others.isEmpty()) {
            return;
        }
        for (int k = 0; k <= IDLE; k++) {
            int index = k;
            excess[k] +=
                    own[k] - Medians.of(others.stream().mapToLong(o -> o[index]).toArray());
        }
    }

    /** Time of each class, and idle time, between the collective before and this one. */
    private long[] before(int rankIndex, int event) {
        RankAnalysis rank = ranks.get(rankIndex);
        Events e = rank.work().trace().events();
        long from = previousEnds[rankIndex];
        long to = e.startNanos(event);
        long[] sums = new long[IDLE + 1];
        int k = Arrays.binarySearch(starts[rankIndex], from);
        k = Math.max(0, k >= 0 ? k : -k - 2);
        long reached = from;
        int[] events = rank.work().events();
        for (; k < events.length && starts[rankIndex][k] < to; k++) {
            int i = events[k];
            long end = Math.min(to, e.endNanos(i));
            long start = Math.max(from, e.startNanos(i));
            if (end <= start || i == event) {
                continue;
            }
            sums[rank.classOf(i).ordinal()] += end - start;
            sums[IDLE] += Math.max(0, start - reached);
            reached = Math.max(reached, end);
        }
        sums[IDLE] += Math.max(0, to - reached);
        return sums;
    }
}
