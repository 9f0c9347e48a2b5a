package dev.baton.trace.align;

/**
 * How one rank makes others wait.
 *
 * @param rankIndex which of the analysed ranks
 * @param timesLast collectives it was the last to begin
 * @param waitCausedNanos what all other ranks waited in those, summed
 * @param waitedNanos what it waited itself for others
 * @param transferNanos what it spent moving bytes
 * @param worstLayer layer in which it caused most waiting, -1 when no layers are known
 * @param worstStep step in which it caused most waiting, -1 for none
 * @param cause kernel class ahead of those collectives that took longer than on the other ranks; {@code idle} when the
 *     device had nothing to do; empty when it never was last
 * @param causeNanos by how much, summed
 */
public record Straggler(
        int rankIndex,
        int timesLast,
        long waitCausedNanos,
        long waitedNanos,
        long transferNanos,
        int worstLayer,
        int worstStep,
        String cause,
        long causeNanos) {}
