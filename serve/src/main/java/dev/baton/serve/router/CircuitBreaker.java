package dev.baton.serve.router;

import java.util.function.LongSupplier;

/**
 * Keeps a failing worker out: so many consecutive failures open the circuit; after a time it is half open, and then so
 * many consecutive successes close it, a failure opens it again. Thread-safe.
 */
final class CircuitBreaker {
    /** Numbered as the router's {@code cb_state} gauge. */
    enum State {
        CLOSED,
        OPEN,
        HALF_OPEN
    }

    private final int failureThreshold;
    private final int successThreshold;
    private final long openNanos;
    private final LongSupplier clock;
    private State state = State.CLOSED;
    private int failures;
    private int successes;
    private long openedNanos;
    private long transitions;

    CircuitBreaker(int failureThreshold, int successThreshold, long openNanos, LongSupplier clock) {
        this.failureThreshold = failureThreshold;
        this.successThreshold = successThreshold;
        this.openNanos = openNanos;
        this.clock = clock;
    }

    /** The state now; an open circuit whose time is over is half open. */
    synchronized State state() {
        if (state == State.OPEN && clock.getAsLong() - openedNanos >= openNanos) {
            change(State.HALF_OPEN);
        }
        return state;
    }

    /** Whether a request may go to the worker. */
    boolean allows() {
        return state() != State.OPEN;
    }

    synchronized void record(boolean success) {
        State now = state();
        if (success) {
            failures = 0;
            if (now == State.HALF_OPEN && ++successes >= successThreshold) {
                change(State.CLOSED);
            }
        } else if (now == State.HALF_OPEN || (now == State.CLOSED && ++failures >= failureThreshold)) {
            openedNanos = clock.getAsLong();
            change(State.OPEN);
        }
    }

    /** How often the state has changed. */
    synchronized long transitions() {
        return transitions;
    }

    private void change(State next) {
        state = next;
        failures = 0;
        successes = 0;
        transitions++;
    }
}
