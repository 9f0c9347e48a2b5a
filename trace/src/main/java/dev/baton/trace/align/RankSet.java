package dev.baton.trace.align;

import dev.baton.trace.analyse.RankAnalysis;
import java.util.List;

/**
 * Several ranks of one run, side by side.
 *
 * @param ranks by rank number
 * @param clocks of each rank against the first
 * @param collectives matched across at least two ranks, by time
 * @param stragglers one for each rank, by rank order; empty when nothing was matched
 * @param waitNanos [rank][step]: what the rank waited in the collectives of that step
 * @param notes what a reader must know, the ranks' own notes aside
 */
public record RankSet(
        List<RankAnalysis> ranks,
        List<Clock> clocks,
        List<Collective> collectives,
        List<Straggler> stragglers,
        long[][] waitNanos,
        List<String> notes) {}
