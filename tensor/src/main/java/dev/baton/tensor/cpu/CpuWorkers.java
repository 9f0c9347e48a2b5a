package dev.baton.tensor.cpu;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The threads of one rank. {@link #run} cuts an operator into as many parts as there are threads: part p always covers
 * the same share of the output and normally runs on thread p, so that each core keeps reading the same weights. The
 * rank's own thread is thread 0; when it has finished its part it also takes parts that nobody has begun, so a helper
 * that the operating system does not schedule delays nobody. Parts compute disjoint outputs, so who runs them does not
 * show in the result.
 *
 * <p>A waiting helper spins for a moment (the next operator of a step is microseconds away), then parks. Nothing is
 * allocated per call.
 */
final class CpuWorkers implements AutoCloseable {
    /** One operator; must compute the same whatever thread runs a part. */
    interface Task {
        void run(int part, int parts, Scratch scratch);
    }

    private static final VarHandle CLAIMS = MethodHandles.arrayElementVarHandle(int[].class);
    private static final long SPIN_NANOS = 40_000;
    /** Claims lie in cache lines of their own. */
    private static final int CLAIM_STRIDE = 32;

    private final int threads;
    private final Arena arena = Arena.ofShared();
    private final Scratch[] scratches;
    private final Helper[] helpers;
    /** Last run in which part p was taken, at p * CLAIM_STRIDE. */
    private final int[] claims;

    private final AtomicInteger unfinished = new AtomicInteger();
    private volatile int epoch;
    private volatile boolean closed;
    private volatile @Nullable Throwable failure;
    /** Written before the epoch that belongs to it, read after a claim in that epoch. */
    private @Nullable Task task;

    /**
     * @param threads the calling thread among them
     * @param firstCore core of thread 0, or -1
     */
    CpuWorkers(int threads, int firstCore) {
        this.threads = threads;
        this.scratches = new Scratch[threads];
        this.helpers = new Helper[threads - 1];
        this.claims = new int[threads * CLAIM_STRIDE];
        for (int i = 0; i < threads; i++) {
            scratches[i] = new Scratch(arena);
        }
        for (int i = 1; i < threads; i++) {
            helpers[i - 1] = new Helper(i, firstCore);
            helpers[i - 1].start();
        }
    }

    int threads() {
        return threads;
    }

    /** Working memory of the calling rank's thread. */
    Scratch scratch() {
        return scratches[0];
    }

    /** Memory that all threads see, freed with the workers. */
    Scratch.Block newBlock() {
        return new Scratch.Block(arena);
    }

    /** Runs a task on the calling thread alone. */
    void runAlone(Task task) {
        task.run(0, 1, scratches[0]);
    }

    /** Runs all parts of a task and returns when the last has finished. */
    void run(Task task) {
        if (threads == 1) {
            task.run(0, 1, scratches[0]);
            return;
        }
        this.task = task;
        unfinished.set(threads);
        int current = epoch + 1;
        epoch = current;
        for (Helper helper : helpers) {
            if (helper.parked) {
                LockSupport.unpark(helper);
            }
        }
        for (int part = 0; part < threads; part++) {
            take(part, current, scratches[0]);
        }
        awaitHelpers();
        this.task = null;
        Throwable cause = failure;
        if (cause != null) {
            failure = null;
            throw cause instanceof TensorException known
                    ? known
                    : new IllegalStateException("a part of an operator failed: " + cause, cause);
        }
    }

    /** Runs a part unless it has been taken in this epoch. */
    private void take(int part, int current, Scratch scratch) {
        if (!CLAIMS.compareAndSet(claims, part * CLAIM_STRIDE, current - 1, current)) {
            return;
        }
        try {
            Objects.requireNonNull(task).run(part, threads, scratch);
        } catch (Throwable t) {
            failure = t;
        } finally {
            unfinished.getAndDecrement();
        }
    }

    /** Helpers have begun what is left; on a crowded machine one may have lost its core, so give ours away. */
    private void awaitHelpers() {
        int spins = 0;
        while (unfinished.get() != 0) {
            if (++spins < 2000) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
        }
    }

    /** Ends the helper threads and frees their memory. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        boolean interrupted = false;
        for (Helper helper : helpers) {
            LockSupport.unpark(helper);
            try {
                helper.join(10_000);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        arena.close();
    }

    /** Thread {@code index} of the rank. */
    private final class Helper extends Thread {
        private final int index;
        private final int firstCore;
        private volatile boolean parked;

        Helper(int index, int firstCore) {
            super(Thread.currentThread().getName() + "-worker-" + index);
            this.index = index;
            this.firstCore = firstCore;
            setDaemon(true);
        }

        @Override
        public void run() {
            if (firstCore >= 0) {
                Affinity.bindCurrentThread(firstCore + index);
            }
            int seen = 0;
            while (!closed) {
                int current = epoch;
                if (current == seen) {
                    await(seen);
                    continue;
                }
                seen = current;
                take(index, current, scratches[index]);
            }
        }

        private void await(int seen) {
            long start = System.nanoTime();
            do {
                for (int i = 0; i < 16; i++) {
                    if (epoch != seen) {
                        return;
                    }
                    Thread.onSpinWait();
                }
            } while (System.nanoTime() - start < SPIN_NANOS);
            parked = true;
            while (epoch == seen && !closed) {
                LockSupport.park(CpuWorkers.this);
            }
            parked = false;
        }
    }
}
