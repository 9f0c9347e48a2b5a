package dev.baton.tensor.parallel;

/** A send or a receive under way. One thread, the one that began it. */
public interface Transfer {
    /** True when it has ended, well or not: {@link #await} will not wait. */
    boolean isDone();

    /**
     * Waits for the end.
     *
     * @throws dev.baton.tensor.TensorException PEER when the peer does not come within the group's deadline, or the group
     *     has failed; SHAPE when message and buffers do not fit
     */
    Moved await();

    /**
     * A transfer that has ended, in its two parts: waiting for the peer, then moving bytes. Times are
     * {@link System#nanoTime}.
     *
     * @param rows of the message's first tensor
     * @param bytes of the whole message
     * @param postedNanos this side was ready
     * @param matchedNanos the other side was ready too
     * @param doneNanos the bytes had been moved
     */
    record Moved(int rows, long bytes, long postedNanos, long matchedNanos, long doneNanos) {
        /** How long the peer was waited for. */
        public long waitNanos() {
            return matchedNanos - postedNanos;
        }

        /** How long the bytes took. */
        public long moveNanos() {
            return doneNanos - matchedNanos;
        }
    }
}
