package dev.baton.tensor.parallel;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * An event that one thread waits for and another one brings about, once. The waiting thread spins for a moment, yields,
 * then parks, as in a {@link Rendezvous}.
 */
final class Completion {
    private static final long SPIN_NANOS = 15_000;
    private static final long YIELD_NANOS = 30_000;

    private volatile boolean complete;
    private volatile @Nullable Thread waiter;

    boolean isComplete() {
        return complete;
    }

    void complete() {
        complete = true;
        Thread parked = waiter;
        if (parked != null) {
            LockSupport.unpark(parked);
        }
    }

    /** Returns true when it has come about, false when it has not within the time. */
    boolean await(long nanos) {
        long start = System.nanoTime();
        while (!complete) {
            long waited = System.nanoTime() - start;
            if (waited < SPIN_NANOS) {
                Thread.onSpinWait();
            } else if (waited < YIELD_NANOS) {
                Thread.yield();
            } else {
                return park(start, nanos);
            }
        }
        return true;
    }

    private boolean park(long start, long nanos) {
        boolean interrupted = false;
        waiter = Thread.currentThread();
        while (!complete) {
            long left = nanos - (System.nanoTime() - start);
            if (left <= 0) {
                break;
            }
            LockSupport.parkNanos(this, left);
            // An interrupt must not turn the park into a busy loop; it is handed on after the wait.
            interrupted |= Thread.interrupted();
        }
        waiter = null;
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return complete;
    }
}
