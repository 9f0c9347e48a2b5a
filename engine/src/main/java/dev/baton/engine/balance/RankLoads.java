package dev.baton.engine.balance;

/** Tokens that expert-parallel ranks computed, of several passes together. Not safe for threads: its owner has a lock. */
final class RankLoads {
    /** [layer][rank] */
    private final double[][] sums;

    RankLoads(int layers, int ranks) {
        this.sums = new double[layers][ranks];
    }

    /** @param tokens [rank] of one layer and pass */
    void add(int layer, long[] tokens) {
        for (int rank = 0; rank < tokens.length; rank++) {
            sums[layer][rank] += tokens[rank];
        }
    }

    /** [layer][rank]; not a copy. */
    double[][] sums() {
        return sums;
    }
}
