package dev.baton.engine.disagg.transfer;

/**
 * The key/value heads that one rank caches.
 *
 * @param total heads of the model; 1 for a latent (MLA), which every rank holds whole
 * @param first first head of this rank
 * @param count heads of this rank
 */
public record HeadShare(int total, int first, int count) {
    public HeadShare {
        if (total < 1 || first < 0 || count < 1 || first + count > total) {
            throw new IllegalArgumentException(
                    "heads [" + first + ", " + (first + count) + ") are not within [0, " + total + ")");
        }
    }

    /** All heads on each rank: a latent cache, or a model without tensor parallelism. */
    public static HeadShare whole(int total) {
        return new HeadShare(total, 0, total);
    }

    /**
     * The share of rank {@code rank} of {@code ranks} that split the heads evenly; with more ranks than heads each head
     * is held by several consecutive ranks.
     */
    public static HeadShare of(int total, int ranks, int rank) {
        if (total >= ranks) {
            if (total % ranks != 0) {
                throw new IllegalArgumentException(
                        total + " key/value heads cannot be split evenly over " + ranks + " ranks");
            }
            return new HeadShare(total, rank * (total / ranks), total / ranks);
        }
        if (ranks % total != 0) {
            throw new IllegalArgumentException(
                    total + " key/value heads cannot be repeated evenly over " + ranks + " ranks");
        }
        return new HeadShare(total, rank / (ranks / total), 1);
    }

    /** One past the last head. */
    public int end() {
        return first + count;
    }
}
