package dev.baton.cuda;

/** One thread's way to the device. Made, used and closed by that thread. */
interface WeightLane extends AutoCloseable {
    /**
     * Queues the copy of bytes {@code [at, at + count)} of the rows to {@code target + at}. The rows have been read when it
     * returns.
     *
     * @param count at most {@link #pieceBytes}
     */
    void send(HostRows rows, long at, long count, long target);

    /** What goes at once. */
    long pieceBytes();

    /** Waits until everything that was sent lies in the device's memory. */
    void arrived();

    @Override
    void close();
}
