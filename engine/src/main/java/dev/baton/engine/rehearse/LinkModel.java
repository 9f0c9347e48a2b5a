package dev.baton.engine.rehearse;

/**
 * How long messages take on a network in which every rank has one link: L is the time of an empty message, W the bytes
 * that leave or reach a rank in a second. The collectives are those of a ring (all-reduce, all-gather, reduce-scatter), of
 * a tree (broadcast, barrier) and direct messages (all-to-all, one rank to another), as in the usual alpha-beta model
 * (Thakur, Rabenseifner, Gropp 2005).
 *
 * @param latencyNanos L
 * @param bytesPerSecond W
 */
public record LinkModel(long latencyNanos, double bytesPerSecond) {
    /**
     * What one rank pays.
     *
     * @param latencyNanos passes without keeping the rank's link busy
     * @param busyNanos keeps it busy: another message of this rank waits
     */
    public record Cost(long latencyNanos, long busyNanos) {
        /** Both. */
        public long totalNanos() {
            return latencyNanos + busyNanos;
        }
    }

    private Cost cost(long messages, double bytes) {
        return new Cost(messages * latencyNanos, Math.round(bytes / bytesPerSecond * 1e9));
    }

    /**
     * 2 (P - 1) messages of b / P bytes.
     *
     * @param ranks P
     * @param bytes b, of one rank's tensor
     */
    public Cost allReduce(int ranks, long bytes) {
        return cost(2L * (ranks - 1), 2.0 * (ranks - 1) / ranks * bytes);
    }

    /**
     * P - 1 messages of b bytes.
     *
     * @param bytes b, of one rank's part
     */
    public Cost allGather(int ranks, long bytes) {
        return cost(ranks - 1L, (ranks - 1.0) * bytes);
    }

    /**
     * P - 1 messages of b bytes.
     *
     * @param bytes b, of one rank's result
     */
    public Cost reduceScatter(int ranks, long bytes) {
        return allGather(ranks, bytes);
    }

    /** ceil(log2 P) messages of which the bytes follow each other. */
    public Cost broadcast(int ranks, long bytes) {
        return cost(rounds(ranks), bytes);
    }

    /** ceil(log2 P) empty messages. */
    public Cost barrier(int ranks) {
        return cost(rounds(ranks), 0);
    }

    /** Messages to all others at once; what leaves and what comes pass each other. */
    public Cost allToAll(long sentBytes, long receivedBytes) {
        return cost(1, Math.max(sentBytes, receivedBytes));
    }

    /** One message. */
    public Cost send(long bytes) {
        return cost(1, bytes);
    }

    private static int rounds(int ranks) {
        return 32 - Integer.numberOfLeadingZeros(ranks - 1);
    }
}
