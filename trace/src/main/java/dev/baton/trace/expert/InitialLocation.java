package dev.baton.trace.expert;

/** What {@code --init-expert-location} can name. */
public sealed interface InitialLocation {
    /** Slot {@code i} holds expert {@code i mod experts}. */
    record Trivial() implements InitialLocation {}

    /**
     * A placement to take as it is.
     *
     * @param source file, or that it stood on the command line
     * @param physicalToLogical [layer][slot]
     */
    record Map(String source, int[][] physicalToLogical) implements InitialLocation {}

    /** Counts to plan a placement from. */
    record Counts(ExpertCounts counts) implements InitialLocation {}
}
