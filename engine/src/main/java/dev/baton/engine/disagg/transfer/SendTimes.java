package dev.baton.engine.disagg.transfer;

/**
 * Where the threads of a prefill server's connections spend their time, since the last {@link #take}. Points are
 * {@link System#nanoTime}.
 */
public final class SendTimes {
    private long firstBegun;
    private long lastEnd;
    private long beginning;
    private long resting;
    private int begun;
    private int rests;

    SendTimes() {}

    /**
     * @param firstBegunNanos when pages were first handed to the device, the socket or the copying thread; 0 for never
     * @param lastEndNanos when the end of a room was last written behind its pages; 0 for never
     * @param beginNanos spent in handing over
     * @param restNanos spent in waiting for what was handed over
     * @param begun jobs handed over
     * @param rests looks for what was handed over
     */
    public record Taken(
            long firstBegunNanos, long lastEndNanos, long beginNanos, long restNanos, int begun, int rests) {}

    /** What was counted, from now on again from zero. */
    public synchronized Taken take() {
        Taken taken = new Taken(firstBegun, lastEnd, beginning, resting, begun, rests);
        firstBegun = 0;
        lastEnd = 0;
        beginning = 0;
        resting = 0;
        begun = 0;
        rests = 0;
        return taken;
    }

    synchronized void began(long fromNanos, long toNanos) {
        firstBegun = firstBegun == 0 ? toNanos : firstBegun;
        beginning += toNanos - fromNanos;
        begun++;
    }

    synchronized void rested(long fromNanos, long toNanos) {
        resting += toNanos - fromNanos;
        rests++;
    }

    synchronized void ended(long atNanos) {
        lastEnd = atNanos;
    }
}
