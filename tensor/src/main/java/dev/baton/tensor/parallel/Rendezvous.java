package dev.baton.tensor.parallel;

import dev.baton.tensor.TensorException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** A reusable barrier of a fixed number of ranks, made for steps of a few microseconds. Once failed it stays failed. */
final class Rendezvous extends Waiters {
    private final int size;
    private final AtomicInteger arrived = new AtomicInteger();
    /** Barriers that each rank has entered. */
    private final AtomicIntegerArray entered;

    private final AtomicReference<TensorException> failure = new AtomicReference<>();
    /** Barriers completed. */
    private volatile int generation;

    Rendezvous(int size, Duration deadline) {
        super(size, deadline);
        this.size = size;
        this.entered = new AtomicIntegerArray(size);
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
        if (!await(rank, current)) {
            fail("rank " + rank + " waited " + deadline() + " in " + operation + " for ranks " + absent(current), null);
        }
        if (generation == current) {
            throwIfFailed(rank, operation);
        }
    }

    @Override
    boolean isOver(long mark) {
        return generation != (int) mark || failure.get() != null;
    }

    boolean hasFailed() {
        return failure.get() != null;
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

    void throwIfFailed(int rank, String operation) {
        TensorException cause = failure.get();
        if (cause != null) {
            throw new TensorException(
                    TensorException.Code.PEER, "rank " + rank + ", " + operation + ": " + cause.getMessage(), cause);
        }
    }
}
