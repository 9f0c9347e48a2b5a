package dev.baton.tensor;

/**
 * Something that a device did, or a call that queued it.
 *
 * @param name of the kernel, the kind of copy, or the function
 * @param startNanos on {@link System#nanoTime}'s scale
 * @param endNanos likewise
 * @param device its number
 * @param stream queue on the device; 0 for calls
 * @param correlation the same for a call and for what it queued
 * @param grid blocks of a kernel in x, y and z; empty otherwise
 * @param block threads of a block likewise
 * @param registers of a thread
 * @param sharedBytes of a block
 * @param bytes copied or filled
 */
public record DeviceSpan(
        Kind kind,
        String name,
        long startNanos,
        long endNanos,
        int device,
        int stream,
        int correlation,
        int[] grid,
        int[] block,
        int registers,
        int sharedBytes,
        long bytes) {
    /** What it is. */
    public enum Kind {
        CALL,
        /** The call that queued a recorded graph: what the graph did carries its correlation. */
        GRAPH_LAUNCH,
        KERNEL,
        COPY,
        FILL;

        /** Whether it is the host's part. */
        public boolean isCall() {
            return this == CALL || this == GRAPH_LAUNCH;
        }
    }
}
