package dev.baton.engine.disagg.transfer;

/**
 * Where the sending threads of a prefill server's connections spend their time, since the last {@link #take}. Points are
 * {@link System#nanoTime}.
 */
public final class SendTimes {
    private long firstBegun;
    private long lastEnd;
    private long beginning;
    private int begun;

    SendTimes() {}

    /**
     * @param firstBegunNanos when pages were first handed to the device, the socket or the copying thread; 0 for never
     * @param lastEndNanos when the end of a room was last about to be told, all its pages having arrived; 0 for never
     * @param beginNanos spent in handing over
     * @param begun jobs handed over
     */
    public record Taken(long firstBegunNanos, long lastEndNanos, long beginNanos, int begun) {}

    /** What was counted, from now on again from zero. */
    public synchronized Taken take() {
        Taken taken = new Taken(firstBegun, lastEnd, beginning, begun);
        firstBegun = 0;
        lastEnd = 0;
        beginning = 0;
        begun = 0;
        return taken;
    }

    synchronized void began(long fromNanos, long toNanos) {
        firstBegun = firstBegun == 0 ? toNanos : firstBegun;
        beginning += toNanos - fromNanos;
        begun++;
    }

    synchronized void ended(long atNanos) {
        lastEnd = atNanos;
    }
}
