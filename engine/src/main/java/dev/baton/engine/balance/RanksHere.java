package dev.baton.engine.balance;

/**
 * Which of a replica's ranks live in this JVM, and whether it is the one that records and measures.
 *
 * @param first number of the first
 * @param count how many, one after the other
 * @param all ranks of the replica
 */
public record RanksHere(int first, int count, int all) {
    /** Every rank. */
    public static RanksHere all(int ranks) {
        return new RanksHere(0, ranks, ranks);
    }

    /** Those of them that are among {@code [from, from + ranks)}. */
    int among(int from, int ranks) {
        return Math.max(0, Math.min(first + count, from + ranks) - Math.max(first, from));
    }

    /** Whether this is the first one of its stage that lives here. */
    boolean isFirstOfStage(int rank, int stageRanks) {
        return rank == first || rank > first && rank % stageRanks == 0;
    }

    /** Ranks that live elsewhere. */
    int elsewhere() {
        return all - count;
    }

    /** The JVM of rank 0. */
    boolean records() {
        return first == 0;
    }
}
