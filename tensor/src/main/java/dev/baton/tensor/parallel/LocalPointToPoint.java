package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Messages between ranks that are threads of one JVM. Whichever side comes second copies the bytes, on its own thread:
 * with receives posted early that is the sender, and nobody waits.
 */
public final class LocalPointToPoint implements PointToPoint {
    /** One direction between two ranks: what one side has posted and the other has not met yet. */
    private static final class Line {
        private final ArrayDeque<LocalTransfer> sends = new ArrayDeque<>();
        private final ArrayDeque<LocalTransfer> receives = new ArrayDeque<>();
    }

    /** What the ranks share. */
    private static final class Shared {
        private final Line[][] lines;
        private final int depth;
        private final long deadlineNanos;
        private final AtomicReference<@Nullable TensorException> failure = new AtomicReference<>();

        Shared(int size, int depth, Duration deadline) {
            this.lines = new Line[size][size];
            for (Line[] from : lines) {
                for (int to = 0; to < size; to++) {
                    from[to] = new Line();
                }
            }
            this.depth = depth;
            this.deadlineNanos = deadline.toNanos();
        }

        /** Fails every open transfer; the first cause stays. */
        void fail(TensorException cause) {
            failure.compareAndSet(null, cause);
            for (Line[] from : lines) {
                for (Line line : from) {
                    List<LocalTransfer> open;
                    synchronized (line) {
                        open = new ArrayList<>(line.sends);
                        open.addAll(line.receives);
                        line.sends.clear();
                        line.receives.clear();
                    }
                    open.forEach(transfer -> transfer.fail(cause));
                }
            }
        }
    }

    private final Shared shared;
    private final int rank;

    private LocalPointToPoint(Shared shared, int rank) {
        this.shared = shared;
        this.rank = rank;
    }

    /**
     * A group of ranks; element r of the list belongs to rank r's thread.
     *
     * @param depth open sends, and as many open receives, from one rank to another
     * @param deadline how long a rank waits for the other side of one transfer
     */
    public static List<PointToPoint> group(int size, int depth, Duration deadline) {
        if (size < 1 || depth < 1) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "a group has at least one rank and a depth of at least 1, not " + size + " and " + depth);
        }
        Shared shared = new Shared(size, depth, deadline);
        List<PointToPoint> ranks = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            ranks.add(new LocalPointToPoint(shared, r));
        }
        return List.copyOf(ranks);
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return shared.lines.length;
    }

    @Override
    public int depth() {
        return shared.depth;
    }

    @Override
    public Transfer send(int peer, List<Tensor> message) {
        requirePeer("send", peer);
        LocalTransfer mine = new LocalTransfer("send to rank " + peer, message);
        LocalTransfer other = post(shared.lines[rank][peer], mine, true);
        if (other != null) {
            move(mine, other);
        }
        return mine;
    }

    @Override
    public Transfer receive(int peer, List<Tensor> buffers) {
        requirePeer("receive", peer);
        LocalTransfer mine = new LocalTransfer("receive from rank " + peer, buffers);
        LocalTransfer other = post(shared.lines[peer][rank], mine, false);
        if (other != null) {
            move(other, mine);
        }
        return mine;
    }

    private void requirePeer(String what, int peer) {
        if (peer < 0 || peer >= size() || peer == rank) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    what + ": rank " + peer + " is no other rank of a group of " + size() + " (this is rank " + rank
                            + ")");
        }
    }

    /** Takes the other side's oldest transfer, or leaves this one for it. */
    private @Nullable LocalTransfer post(Line line, LocalTransfer mine, boolean sends) {
        synchronized (line) {
            TensorException failed = shared.failure.get();
            if (failed != null) {
                throw again(mine.what, failed);
            }
            LocalTransfer other = (sends ? line.receives : line.sends).pollFirst();
            if (other == null) {
                ArrayDeque<LocalTransfer> own = sends ? line.sends : line.receives;
                if (own.size() == shared.depth) {
                    throw new TensorException(
                            TensorException.Code.SHAPE,
                            "rank " + rank + ", " + mine.what + ": " + shared.depth
                                    + " are open already; wait for one");
                }
                own.addLast(mine);
            }
            return other;
        }
    }

    private TensorException again(String what, TensorException cause) {
        return new TensorException(cause.code(), "rank " + rank + ", " + what + ": " + cause.getMessage(), cause);
    }

    /** Both sides are there: the caller copies for both. */
    private void move(LocalTransfer send, LocalTransfer receive) {
        long matched = System.nanoTime();
        String fault = misfit(send.tensors, receive.tensors);
        if (fault != null) {
            TensorException exception = new TensorException(TensorException.Code.SHAPE, fault);
            send.fail(exception);
            receive.fail(exception);
            shared.fail(exception);
            throw exception;
        }
        long bytes = 0;
        try {
            for (int i = 0; i < send.tensors.size(); i++) {
                bytes += copy(send.tensors.get(i), receive.tensors.get(i));
            }
        } catch (RuntimeException e) {
            // The other side's memory is gone: its rank has ended.
            TensorException exception =
                    new TensorException(TensorException.Code.PEER, "rank " + rank + " could not move a message", e);
            send.fail(exception);
            receive.fail(exception);
            shared.fail(exception);
            throw exception;
        }
        int rows = rows(send.tensors.getFirst());
        long done = System.nanoTime();
        send.end(new Transfer.Moved(rows, bytes, send.posted, matched, done));
        receive.end(new Transfer.Moved(rows, bytes, receive.posted, matched, done));
    }

    private static @Nullable String misfit(List<Tensor> message, List<Tensor> buffers) {
        if (message.size() != buffers.size()) {
            return "a message of " + message.size() + " tensors for " + buffers.size() + " buffers";
        }
        for (int i = 0; i < message.size(); i++) {
            Tensor from = message.get(i);
            Tensor to = buffers.get(i);
            boolean wide = from.dimensions() > 1 || to.dimensions() > 1;
            if (from.dtype() != to.dtype() || rows(from) > rows(to) || wide && from.columns() != to.columns()) {
                return "tensor " + i + " of the message is " + from + ", its buffer " + to;
            }
        }
        return null;
    }

    /** Rows of a matrix, elements of a vector. */
    private static int rows(Tensor x) {
        return x.dimensions() == 1 ? x.columns() : x.rows();
    }

    /** Returns the bytes copied. */
    private static long copy(Tensor from, Tensor to) {
        int bytes = from.dtype().bytes();
        if (from.isDense() && to.isDense() || from.dimensions() == 1) {
            MemorySegment.copy(from.memory(), 0, to.memory(), 0, from.elements() * bytes);
            return from.elements() * bytes;
        }
        for (int row = 0; row < from.rows(); row++) {
            MemorySegment.copy(
                    from.memory(),
                    row * from.rowStride() * bytes,
                    to.memory(),
                    row * to.rowStride() * bytes,
                    (long) from.columns() * bytes);
        }
        return from.elements() * bytes;
    }

    @Override
    public void abort(Throwable cause) {
        shared.fail(new TensorException(TensorException.Code.PEER, "rank " + rank + " failed: " + cause, cause));
    }

    @Override
    public void close() {
        if (size() > 1) {
            shared.fail(new TensorException(TensorException.Code.PEER, "rank " + rank + " has left the group"));
        }
    }

    /** One side of a message. */
    private final class LocalTransfer implements Transfer {
        private final String what;
        private final List<Tensor> tensors;
        private final long posted = System.nanoTime();
        private final Completion completion = new Completion();
        private volatile @Nullable Moved moved;
        private volatile @Nullable TensorException failure;

        LocalTransfer(String what, List<Tensor> tensors) {
            if (tensors.isEmpty()) {
                throw new TensorException(TensorException.Code.SHAPE, what + ": a message has at least one tensor");
            }
            this.what = what;
            this.tensors = List.copyOf(tensors);
        }

        void end(Moved result) {
            moved = result;
            completion.complete();
        }

        void fail(TensorException cause) {
            failure = cause;
            completion.complete();
        }

        @Override
        public boolean isDone() {
            return completion.isComplete();
        }

        @Override
        public Moved await() {
            if (!completion.await(shared.deadlineNanos)) {
                shared.fail(new TensorException(
                        TensorException.Code.PEER,
                        "rank " + rank + " waited " + Duration.ofNanos(shared.deadlineNanos) + " in " + what));
                // A move that had begun ends; one that had not has failed now.
                completion.await(shared.deadlineNanos);
            }
            Moved result = moved;
            if (result != null) {
                return result;
            }
            TensorException cause = failure;
            throw cause == null
                    ? new TensorException(TensorException.Code.PEER, "rank " + rank + ", " + what + " does not end")
                    : again(what, cause);
        }
    }
}
