package dev.baton.tensor.parallel;

import dev.baton.tensor.TensorException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A reusable barrier of a fixed number of ranks, made for steps of a few microseconds: a waiting rank spins for a
 * moment, yields, then parks. Once failed it stays failed. Waiting allocates nothing.
 */
final class Rendezvous {
    private static final long SPIN_NANOS = 15_000;
    private static final long YIELD_NANOS = 30_000;
    private static final int SPINS_BETWEEN_CLOCK_READS = 8;

    private final int size;
    private final long deadlineNanos;
    private final AtomicInteger arrived = new AtomicInteger();
    /** Barriers that each rank has entered. */
    private final AtomicIntegerArray entered;

    private final AtomicReferenceArray<Thread> parked;
    private final AtomicReference<TensorException> failure = new AtomicReference<>();
    /** Barriers completed. */
    private volatile int generation;

    Rendezvous(int size, Duration deadline) {
        this.size = size;
        this.deadlineNanos = deadline.toNanos();
        this.entered = new AtomicIntegerArray(size);
        this.parked = new AtomicReferenceArray<>(size);
    }

    /** Returns when every rank has come; throws PEER when one does not in time, or the group has failed. */
    void await(int rank, String operation) {
        throwIfFailed(rank, operation);
        int current = generation;
        entered.incrementAndGet(rank);
        if (arrived.incrementAndGet() == size) {
            arrived.set(0);
            generation = current + 1;
            wakeAll();
            return;
        }
        if (!spin(current)) {
            park(rank, current, operation);
        }
        if (generation == current) {
            throwIfFailed(rank, operation);
        }
    }

    private boolean over(int current) {
        return generation != current || failure.get() != null;
    }

    private boolean spin(int current) {
        long start = System.nanoTime();
        while (true) {
            for (int i = 0; i < SPINS_BETWEEN_CLOCK_READS; i++) {
                if (over(current)) {
                    return true;
                }
                Thread.onSpinWait();
            }
            long waited = System.nanoTime() - start;
            if (waited > YIELD_NANOS) {
                return false;
            }
            if (waited > SPIN_NANOS) {
                Thread.yield();
            }
        }
    }

    private void park(int rank, int current, String operation) {
        long start = System.nanoTime();
        parked.set(rank, Thread.currentThread());
        boolean interrupted = false;
        while (!over(current)) {
            long left = deadlineNanos - (System.nanoTime() - start);
            if (left <= 0) {
                fail(
                        "rank " + rank + " waited " + Duration.ofNanos(deadlineNanos) + " in " + operation
                                + " for ranks " + absent(current),
                        null);
                break;
            }
            LockSupport.parkNanos(this, left);
            // An interrupt must not turn the park into a busy loop; it is handed on after the wait.
            interrupted |= Thread.interrupted();
        }
        parked.set(rank, null);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ranks that have not entered the barrier after {@code completed} ones. */
    private List<Integer> absent(int completed) {
        List<Integer> ranks = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            if (entered.get(r) - completed <= 0) {
                ranks.add(r);
            }
        }
        return ranks;
    }

    /** Marks the group failed; the first cause stays. */
    void fail(String text, @Nullable Throwable cause) {
        TensorException exception = cause == null
                ? new TensorException(TensorException.Code.PEER, text)
                : new TensorException(TensorException.Code.PEER, text, cause);
        failure.compareAndSet(null, exception);
        wakeAll();
    }

    private void wakeAll() {
        for (int r = 0; r < size; r++) {
            Thread thread = parked.get(r);
            if (thread != null) {
                LockSupport.unpark(thread);
            }
        }
    }

    private void throwIfFailed(int rank, String operation) {
        TensorException cause = failure.get();
        if (cause != null) {
            throw new TensorException(
                    TensorException.Code.PEER, "rank " + rank + ", " + operation + ": " + cause.getMessage(), cause);
        }
    }
}
