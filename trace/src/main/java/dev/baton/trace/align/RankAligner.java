package dev.baton.trace.align;

import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.read.TraceInfo;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/** Puts ranks side by side: matches their collectives, aligns their clocks, finds who waits for whom. */
public final class RankAligner {
    /** An offset smaller than this is never taken out: ranks of one host share a clock. */
    private static final long LEAST_OFFSET_NANOS = 100_000;

    private static final int FEWEST_FOR_CLOCK = 4;

    private RankAligner() {}

    /** Aligns ranks given by rank number; a single rank gives a set without collectives. */
    public static RankSet align(List<RankAnalysis> ranks) {
        List<String> notes = new ArrayList<>();
        missing(ranks, notes);
        List<Collective> raw = new CollectiveMatcher(ranks, notes).match();
        List<Clock> clocks = clocks(ranks, raw, notes);
        List<Collective> collectives = ordered(ranks, raw, clocks);
        long[][] waits = waits(ranks, collectives);
        List<Straggler> stragglers = collectives.isEmpty() ? List.of() : new StragglerFinder(ranks, collectives).find();
        return new RankSet(
                List.copyOf(ranks),
                clocks,
                collectives,
                stragglers,
                waits,
                notes.stream().distinct().toList());
    }

    private static void missing(List<RankAnalysis> ranks, List<String> notes) {
        int world = ranks.stream()
                .mapToInt(r -> r.work().trace().info().worldSize())
                .max()
                .orElse(0);
        TreeSet<Integer> present = new TreeSet<>();
        ranks.forEach(r -> present.add(r.rank()));
        if (world > present.size()) {
            notes.add(present.size() + " of " + world + " ranks are here (" + present + "). They show their own steps,"
                    + " kernels and overlap; who is last and what it costs is known among these only: the true"
                    + " straggler may be one of the " + (world - present.size())
                    + " that are missing, and waiting for those counts as transfer");
        }
        if (present.size() < ranks.size()) {
            notes.add("two files claim the same rank");
        }
    }

    private static List<Clock> clocks(List<RankAnalysis> ranks, List<Collective> matched, List<String> notes) {
        List<Clock> clocks = new ArrayList<>();
        for (int r = 0; r < ranks.size(); r++) {
            Clock clock = r == 0 ? Clock.REFERENCE : clock(ranks, r, matched);
            clocks.add(clock);
            if (clock.isCorrected()) {
                notes.add(String.format(
                        java.util.Locale.ROOT,
                        "the clock of rank %d stands %+.1f us from rank %d's, by the ends of %d collectives (residual"
                                + " %.1f us): taken out",
                        ranks.get(r).rank(),
                        clock.offsetNanos() / 1e3,
                        ranks.getFirst().rank(),
                        clock.matched(),
                        clock.residualNanos() / 1e3));
            }
        }
        return clocks;
    }

    private static Clock clock(List<RankAnalysis> ranks, int rank, List<Collective> matched) {
        double[] differences = matched.stream()
                .filter(c -> has(c, 0) && has(c, rank))
                .mapToDouble(c -> call(c, rank).endNanos() - call(c, 0).endNanos())
                .toArray();
        if (differences.length < FEWEST_FOR_CLOCK) {
            return new Clock(differences.length, 0, 0, 0, false);
        }
        double offset = Medians.of(differences);
        double[] distances = new double[differences.length];
        for (int i = 0; i < distances.length; i++) {
            distances[i] = Math.abs(differences[i] - offset);
        }
        double residual = Medians.of(distances);
        boolean mayDiffer = mayDiffer(
                ranks.getFirst().work().trace().info(),
                ranks.get(rank).work().trace().info());
        boolean isFar = Math.abs(offset) > Math.max(LEAST_OFFSET_NANOS, 4 * residual);
        return new Clock(
                differences.length,
                Math.round(offset),
                Math.round(residual),
                Math.round(Medians.quantile(distances, 0.95)),
                mayDiffer && isFar);
    }

    private static boolean mayDiffer(TraceInfo a, TraceInfo b) {
        return a.hostName().isEmpty() || !a.hostName().equals(b.hostName());
    }

    private static boolean has(Collective c, int rankIndex) {
        return c.calls().stream().anyMatch(call -> call.rankIndex() == rankIndex);
    }

    private static Collective.Call call(Collective c, int rankIndex) {
        return c.calls().stream()
                .filter(call -> call.rankIndex() == rankIndex)
                .findFirst()
                .orElseThrow();
    }

    /** By the time the last rank began, numbered, with step, layer and corrected times. */
    private static List<Collective> ordered(List<RankAnalysis> ranks, List<Collective> raw, List<Clock> clocks) {
        List<Collective> corrected = new ArrayList<>(raw.stream()
                .map(c -> new Collective(
                        c.name(),
                        c.kind(),
                        0,
                        -1,
                        -1,
                        c.calls().stream().map(call -> corrected(call, clocks)).toList()))
                .sorted(Comparator.comparingLong(c -> c.last().startNanos()))
                .toList());
        for (int k = 0; k < corrected.size(); k++) {
            Collective c = corrected.get(k);
            Collective.Call first = c.calls().getFirst();
            RankAnalysis rank = ranks.get(first.rankIndex());
            long start = rank.work().trace().events().startNanos(first.event());
            int step = rank.stepAt(start);
            corrected.set(k, new Collective(c.name(), c.kind(), k, step, rank.layerAt(step, start), c.calls()));
        }
        return corrected;
    }

    private static Collective.Call corrected(Collective.Call call, List<Clock> clocks) {
        long by = clocks.get(call.rankIndex()).correctionNanos();
        return new Collective.Call(call.rankIndex(), call.event(), call.startNanos() - by, call.endNanos() - by);
    }

    private static long[][] waits(List<RankAnalysis> ranks, List<Collective> collectives) {
        long[][] waits = new long[ranks.size()][];
        for (int r = 0; r < waits.length; r++) {
            waits[r] = new long[ranks.get(r).steps().size()];
        }
        for (Collective c : collectives) {
            for (Collective.Call call : c.calls()) {
                RankAnalysis rank = ranks.get(call.rankIndex());
                int step = rank.stepAt(rank.work().trace().events().startNanos(call.event()));
                if (step >= 0) {
                    waits[call.rankIndex()][step] += c.waitNanos(call);
                }
            }
        }
        return waits;
    }
}
