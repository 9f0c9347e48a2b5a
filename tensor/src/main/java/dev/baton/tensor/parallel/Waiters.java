package dev.baton.tensor.parallel;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;

/**
 * Threads that wait for something that is a few microseconds away as a rule: a waiting thread spins for a moment (where
 * every thread has a core), yields, then parks. Each thread waits under a number of its own. Waiting allocates nothing.
 */
abstract class Waiters {
    private static final long SPIN_NANOS = 15_000;
    private static final long YIELD_NANOS = 30_000;
    private static final int SPINS_BETWEEN_CLOCK_READS = 8;

    private final AtomicReferenceArray<Thread> parked;
    private final Duration deadline;
    /** Where threads outnumber cores, the one that is waited for may need this core: nobody spins, all yield. */
    private final long spinNanos;

    Waiters(int size, Duration deadline) {
        this.parked = new AtomicReferenceArray<>(size);
        this.deadline = deadline;
        this.spinNanos = size > Runtime.getRuntime().availableProcessors() ? 0 : SPIN_NANOS;
    }

    /** Whether what {@code mark} stands for has happened; whoever makes it happen calls {@link #wakeAll} afterwards. */
    abstract boolean isOver(long mark);

    final Duration deadline() {
        return deadline;
    }

    /** Waits; false when the deadline has passed and it is not over. */
    final boolean await(int waiter, long mark) {
        return spin(mark) || park(waiter, mark);
    }

    private boolean spin(long mark) {
        long start = System.nanoTime();
        while (true) {
            for (int i = 0; i < SPINS_BETWEEN_CLOCK_READS; i++) {
                if (isOver(mark)) {
                    return true;
                }
                Thread.onSpinWait();
            }
            long waited = System.nanoTime() - start;
            if (waited > YIELD_NANOS) {
                return false;
            }
            if (waited >= spinNanos) {
                Thread.yield();
            }
        }
    }

    private boolean park(int waiter, long mark) {
        long start = System.nanoTime();
        long deadlineNanos = deadline.toNanos();
        parked.set(waiter, Thread.currentThread());
        boolean interrupted = false;
        boolean over = isOver(mark);
        while (!over) {
            long left = deadlineNanos - (System.nanoTime() - start);
            if (left <= 0) {
                break;
            }
            LockSupport.parkNanos(this, left);
            // An interrupt must not turn the park into a busy loop; it is handed on after the wait.
            interrupted |= Thread.interrupted();
            over = isOver(mark);
        }
        parked.set(waiter, null);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return over;
    }

    final void wakeAll() {
        for (int r = 0; r < parked.length(); r++) {
            Thread thread = parked.get(r);
            if (thread != null) {
                LockSupport.unpark(thread);
            }
        }
    }
}
