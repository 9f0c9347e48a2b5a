package dev.baton.trace.align;

import dev.baton.trace.analyse.Medians;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.classify.CollectiveKind;
import dev.baton.trace.read.CollectiveCall;
import dev.baton.trace.read.Events;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds the calls of different ranks that are one collective: the k-th of a kernel name (and process group where the trace
 * says it) on each rank. Where ranks have different numbers of them, the shift whose ends agree best is taken.
 */
final class CollectiveMatcher {
    private static final int FEWEST_FOR_SHIFT = 4;
    /** So many differences tell a shift; all of them would take hours where ranks have a hundred thousand calls. */
    private static final int MOST_FOR_SHIFT = 256;

    private static final Pattern REPLICA = Pattern.compile("DP-?(\\d+)");

    private final List<RankAnalysis> ranks;
    private final List<String> notes;
    private final boolean hasReplicas;

    CollectiveMatcher(List<RankAnalysis> ranks, List<String> notes) {
        this.ranks = ranks;
        this.notes = notes;
        this.hasReplicas = hasReplicas(ranks);
        if (hasReplicas) {
            notes.add(
                    "several files say they are the same rank of their world: these are replicas, whose collectives are"
                            + " matched within each data-parallel replica only");
        }
    }

    /** Replicas are worlds of their own: each has a rank 0. */
    private static boolean hasReplicas(List<RankAnalysis> ranks) {
        return ranks.stream()
                        .filter(r -> !replica(r).isEmpty())
                        .map(r -> r.work().trace().info().rank())
                        .filter(said -> said >= 0)
                        .distinct()
                        .count()
                < ranks.stream()
                        .filter(r -> !replica(r).isEmpty())
                        .filter(r -> r.work().trace().info().rank() >= 0)
                        .filter(r -> r.work().trace().label().isEmpty())
                        .count();
    }

    private static String replica(RankAnalysis rank) {
        Matcher m = REPLICA.matcher(rank.displayName());
        return m.find() ? m.group(1) : "";
    }

    /** Matched collectives with uncorrected times, unordered. */
    List<Collective> match() {
        List<Map<String, List<Collective.Call>>> perRank = new ArrayList<>();
        TreeSet<String> keys = new TreeSet<>();
        for (int r = 0; r < ranks.size(); r++) {
            Map<String, List<Collective.Call>> calls = calls(r);
            perRank.add(calls);
            keys.addAll(calls.keySet());
        }
        List<Collective> matched = new ArrayList<>();
        for (String key : keys) {
            List<List<Collective.Call>> lists =
                    perRank.stream().map(m -> m.get(key)).filter(l -> l != null).toList();
            if (lists.size() > 1) {
                matched.addAll(align(lists));
            }
        }
        return matched;
    }

    private Map<String, List<Collective.Call>> calls(int rankIndex) {
        RankAnalysis rank = ranks.get(rankIndex);
        Events e = rank.work().trace().events();
        long base = rank.work().trace().info().baseNanos();
        Map<String, List<Collective.Call>> calls = new LinkedHashMap<>();
        for (int i : rank.work().events()) {
            if (rank.classOf(i).isCommunication()) {
                CollectiveCall said = e.collective(i);
                String key = e.name(i)
                        + '\n'
                        + (hasReplicas ? replica(rank) : "")
                        + '\n'
                        + (said == null ? "" : said.groupName() + said.groupRanks());
                calls.computeIfAbsent(key, k -> new ArrayList<>())
                        .add(new Collective.Call(rankIndex, i, base + e.startNanos(i), base + e.endNanos(i)));
            }
        }
        return calls;
    }

    private List<Collective> align(List<List<Collective.Call>> lists) {
        List<Collective.Call> reference =
                lists.stream().max(Comparator.comparingInt(List::size)).orElseThrow();
        List<List<Collective.Call>> slots = new ArrayList<>();
        for (int k = 0; k < reference.size(); k++) {
            slots.add(new ArrayList<>());
        }
        for (List<Collective.Call> list : lists) {
            int shift = list.size() == reference.size() ? 0 : bestShift(reference, list);
            for (int k = 0; k < list.size(); k++) {
                slots.get(k + shift).add(list.get(k));
            }
        }
        Collective.Call first = reference.getFirst();
        RankAnalysis rank = ranks.get(first.rankIndex());
        String name = rank.work().trace().events().name(first.event());
        CollectiveKind kind = CollectiveKind.of(name, rank.classOf(first.event()));
        return slots.stream()
                .filter(calls -> calls.size() > 1)
                .map(calls -> new Collective(name, kind, 0, -1, -1, calls))
                .toList();
    }

    /** Where in the longer list the shorter one begins: where the differences of the ends spread least. */
    private int bestShift(List<Collective.Call> longer, List<Collective.Call> shorter) {
        int most = longer.size() - shorter.size();
        notes.add("rank " + ranks.get(shorter.getFirst().rankIndex()).rank() + " has " + most
                + " fewer calls of a collective than another rank: they were matched where their ends agree best");
        if (shorter.size() < FEWEST_FOR_SHIFT) {
            return 0;
        }
        int best = 0;
        double bestScore = Double.MAX_VALUE;
        for (int shift = 0; shift <= most; shift++) {
            double[] differences = new double[Math.min(shorter.size(), MOST_FOR_SHIFT)];
            for (int k = 0; k < differences.length; k++) {
                differences[k] =
                        shorter.get(k).endNanos() - longer.get(k + shift).endNanos();
            }
            double spread = Medians.quantile(differences, 0.75) - Medians.quantile(differences, 0.25);
            double score = spread + 1e-3 * Math.abs(Medians.of(differences));
            if (score < bestScore) {
                bestScore = score;
                best = shift;
            }
        }
        return best;
    }
}
