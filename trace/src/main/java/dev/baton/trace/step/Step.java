package dev.baton.trace.step;

import dev.baton.trace.read.Events;

/**
 * One step of a device.
 *
 * @param kind by what it was found
 * @param name the annotation, or {@code replay k}
 * @param events indices into the trace's events, by start
 * @param startNanos first start of its work
 * @param endNanos last end of its work
 * @param hostNanos length of the host's mark, -1 when there is none: often far from the work's
 */
public record Step(StepKind kind, String name, int[] events, long startNanos, long endNanos, long hostNanos) {
    static Step of(StepKind kind, String name, Events e, int[] byStart, long hostNanos) {
        long end = Long.MIN_VALUE;
        for (int i : byStart) {
            end = Math.max(end, e.endNanos(i));
        }
        return new Step(kind, name, byStart, e.startNanos(byStart[0]), end, hostNanos);
    }

    /** From the first start of its work to the last end. */
    public long durationNanos() {
        return endNanos - startNanos;
    }
}
