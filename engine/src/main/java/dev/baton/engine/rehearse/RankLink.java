package dev.baton.engine.rehearse;

/** One rank's link: messages of the rank pass one after the other, whichever thread sends them. */
final class RankLink {
    private final LinkModel model;
    private final Clock clock;
    private long freeAtNanos = Long.MIN_VALUE;

    RankLink(LinkModel model, Clock clock) {
        this.model = model;
        this.clock = clock;
    }

    LinkModel model() {
        return model;
    }

    /** Spends what a message costs, from now on or from when the link is free. */
    void pass(LinkModel.Cost cost) {
        clock.sleepUntil(reserve(clock.nanoTime(), cost));
    }

    /** When a message that is ready at {@code nanos} has passed; the link is busy until its bytes have. */
    synchronized long reserve(long nanos, LinkModel.Cost cost) {
        long begin = Math.max(nanos, freeAtNanos);
        freeAtNanos = begin + cost.busyNanos();
        return freeAtNanos + cost.latencyNanos();
    }
}
