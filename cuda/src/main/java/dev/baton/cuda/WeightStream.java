package dev.baton.cuda;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Sends host tensors to the device while the caller goes on. Several threads take pieces of what was sent, in its order, each
 * through its own {@link WeightLane}: nobody waits for another one's piece, and the next tensor begins while the last pieces of
 * the one before are under way. Used by one thread.
 */
final class WeightStream implements AutoCloseable {
    /** Without a single piece for so long, a wait ends. */
    private static final Duration STALL_LIMIT = Duration.ofMinutes(2);

    private sealed interface Work permits Shipment, Gate {}

    /** A tensor under way; {@code taken} of its bytes have found a thread. */
    private record Shipment(String name, HostRows rows, long target, AtomicLong taken) implements Work {}

    /** What every thread passes once all it sent has arrived; the last one ends it. */
    private record Gate(CountDownLatch toPass, boolean last) implements Work {}

    /** Work and what was sent behind it. */
    private static final class Link {
        final Work work;
        volatile @Nullable Link next;

        Link(Work work) {
            this.work = work;
        }
    }

    /** The first thing that went wrong. */
    private record Failure(String what, Throwable cause) {}

    private final List<Thread> threads = new ArrayList<>();
    private final Object growth = new Object();
    private final AtomicReference<@Nullable Failure> failure = new AtomicReference<>();
    private final AtomicLong pieces = new AtomicLong();
    private Link end = new Link(new Gate(new CountDownLatch(0), false));
    /** Nothing is carried any more. */
    private volatile boolean stopped;

    private boolean closed;

    /** @param lanes called once by each of the threads */
    WeightStream(int workers, Supplier<? extends WeightLane> lanes) {
        Link first = end;
        for (int w = 0; w < workers; w++) {
            threads.add(Thread.ofPlatform().daemon().name("weights-" + w).start(() -> work(lanes, first)));
        }
    }

    /** Whether the threads may read this memory. */
    boolean reads(MemorySegment memory) {
        return memory.isAccessibleBy(threads.getFirst());
    }

    /**
     * Begins to send a matrix, whose rows may lie apart, to dense memory of the device. The host memory must stay as it is
     * until {@link #await}.
     *
     * @param name for errors
     * @throws TensorException when something sent earlier failed
     */
    void send(String name, Tensor host, long target) {
        throwFailure();
        append(new Shipment(name, HostRows.of(host), target, new AtomicLong()));
    }

    /**
     * Waits until everything sent lies in the device's memory.
     *
     * @throws TensorException when something sent failed; names it
     */
    void await() {
        pass(false);
        throwFailure();
    }

    private void pass(boolean last) {
        CountDownLatch toPass = new CountDownLatch(threads.size());
        append(new Gate(toPass, last));
        try {
            long seen;
            do {
                seen = pieces.get();
                if (toPass.await(STALL_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
                    return;
                }
            } while (pieces.get() != seen);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TensorException(TensorException.Code.FAULT, "interrupted while weights are on their way", e);
        }
        throw new TensorException(
                TensorException.Code.FAULT,
                "weights have not moved for " + STALL_LIMIT.toSeconds()
                        + " s: look at the disk or network share that holds the checkpoint");
    }

    private void append(Work work) {
        Link link = new Link(work);
        synchronized (growth) {
            end.next = link;
            end = link;
            growth.notifyAll();
        }
    }

    private Link behind(Link link) throws InterruptedException {
        Link next = link.next;
        if (next == null) {
            synchronized (growth) {
                while ((next = link.next) == null) {
                    growth.wait();
                }
            }
        }
        return next;
    }

    private void work(Supplier<? extends WeightLane> lanes, Link first) {
        WeightLane lane = null;
        try {
            lane = lanes.get();
        } catch (Throwable e) {
            fail("a thread has no page-locked buffers", e);
        }
        try {
            for (Link link = behind(first); ; link = behind(link)) {
                switch (link.work) {
                    case Shipment shipment -> carry(lane, shipment);
                    case Gate gate -> {
                        settle(lane);
                        if (gate.last) {
                            release(lane);
                        }
                        gate.toPass.countDown();
                        if (gate.last) {
                            return;
                        }
                    }
                }
            }
        } catch (InterruptedException e) {
            fail("a thread was interrupted", e);
        }
    }

    private void carry(@Nullable WeightLane lane, Shipment shipment) {
        if (lane == null) {
            return;
        }
        HostRows rows = shipment.rows;
        long piece = lane.pieceBytes();
        try {
            long at;
            while (!stopped && (at = shipment.taken.getAndAdd(piece)) < rows.bytes()) {
                lane.send(rows, at, Math.min(piece, rows.bytes() - at), shipment.target);
                pieces.incrementAndGet();
            }
        } catch (Throwable e) {
            fail(shipment.name + " did not reach the device", e);
        }
    }

    private void settle(@Nullable WeightLane lane) {
        try {
            if (lane != null) {
                lane.arrived();
            }
        } catch (Throwable e) {
            fail("the last pieces did not reach the device", e);
        }
    }

    private void release(@Nullable WeightLane lane) {
        try {
            if (lane != null) {
                lane.close();
            }
        } catch (Throwable e) {
            fail("page-locked buffers were not given back", e);
        }
    }

    private void fail(String what, Throwable cause) {
        failure.compareAndSet(null, new Failure(what, cause));
        stopped = true;
    }

    private void throwFailure() {
        Failure known = failure.get();
        if (known != null) {
            throw new TensorException(
                    known.cause instanceof TensorException e ? e.code() : TensorException.Code.FAULT,
                    known.what + ": " + reason(known.cause),
                    known.cause);
        }
    }

    /** The JVM throws an InternalError where a mapped page cannot be had. */
    private static String reason(Throwable cause) {
        return cause instanceof InternalError
                ? "its file was cut short or cannot be read any more (" + cause.getMessage() + ")"
                : String.valueOf(cause.getMessage());
    }

    /** Ends the threads and gives the buffers back; what is under way is not waited for beyond its present pieces. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            stopped = true;
            // The threads must have ended before the memory they read and write goes, interrupted or not.
            boolean interrupted = Thread.interrupted();
            try {
                pass(true);
            } finally {
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
            }
        }
    }
}
