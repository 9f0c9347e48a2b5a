package dev.baton.trace.read;

/** What an event is; everything else in a trace (Python frames, arrows, counters) is passed over while reading. */
public enum EventKind {
    /** A kernel on a device. */
    KERNEL,
    /** A copy on a device. */
    MEMCPY,
    /** A fill on a device. */
    MEMSET,
    /** A call of the driver or runtime library that may launch work. */
    RUNTIME,
    /** A named span of a host thread. */
    ANNOTATION,
    /** The same span seen on a device's stream. */
    DEVICE_ANNOTATION,
    /** An operator call on a host thread. */
    OPERATOR,
    /** A Python frame that was asked for; the scheduler's {@code run_batch} always is. */
    FRAME;

    /** Whether a device worked on it. */
    public boolean isDeviceWork() {
        return this == KERNEL || this == MEMCPY || this == MEMSET;
    }
}
