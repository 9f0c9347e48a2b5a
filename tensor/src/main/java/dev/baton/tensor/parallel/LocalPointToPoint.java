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
    /** Copies one dense tensor to another and waits for it; on either rank's thread. */
    @FunctionalInterface
    public interface Copier {
        void copy(Tensor from, Tensor to);
    }

    /** One direction between two ranks: what one side has posted and the other has not met yet. */
    private static final class Line {
        private final ArrayDeque<PostedTransfer> sends = new ArrayDeque<>();
        private final ArrayDeque<PostedTransfer> receives = new ArrayDeque<>();
    }

    /** What the ranks share. */
    private static final class Shared {
        private final Line[][] lines;
        private final int depth;
        private final Duration deadline;
        private final Copier copier;
        private final AtomicReference<@Nullable TensorException> failure = new AtomicReference<>();

        Shared(int size, int depth, Duration deadline, Copier copier) {
            this.copier = copier;
            this.lines = new Line[size][size];
            for (Line[] from : lines) {
                for (int to = 0; to < size; to++) {
                    from[to] = new Line();
                }
            }
            this.depth = depth;
            this.deadline = deadline;
        }

        /** Fails every open transfer; the first cause stays. */
        void fail(TensorException cause) {
            failure.compareAndSet(null, cause);
            for (Line[] from : lines) {
                for (Line line : from) {
                    List<PostedTransfer> open;
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
        return group(size, depth, deadline, LocalPointToPoint::copyOnHost);
    }

    /**
     * The same for tensors that are no host memory.
     *
     * @param copier called when what is sent is written and nothing reads the buffer any more
     */
    public static List<PointToPoint> group(int size, int depth, Duration deadline, Copier copier) {
        if (size < 1 || depth < 1) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "a group has at least one rank and a depth of at least 1, not " + size + " and " + depth);
        }
        return List.copyOf(ranks(size, depth, deadline, copier));
    }

    static List<LocalPointToPoint> ranks(int size, int depth, Duration deadline) {
        return ranks(size, depth, deadline, LocalPointToPoint::copyOnHost);
    }

    private static List<LocalPointToPoint> ranks(int size, int depth, Duration deadline, Copier copier) {
        Shared shared = new Shared(size, depth, deadline, copier);
        List<LocalPointToPoint> ranks = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            ranks.add(new LocalPointToPoint(shared, r));
        }
        return ranks;
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
        PostedTransfer mine = posted("send to rank " + peer, message);
        PostedTransfer other = post(shared.lines[rank][peer], mine, true);
        if (other != null) {
            move(mine, other);
        }
        return mine;
    }

    @Override
    public Transfer receive(int peer, List<Tensor> buffers) {
        requirePeer("receive", peer);
        PostedTransfer mine = posted("receive from rank " + peer, buffers);
        PostedTransfer other = post(shared.lines[peer][rank], mine, false);
        if (other != null) {
            move(other, mine);
        }
        return mine;
    }

    private PostedTransfer posted(String what, List<Tensor> tensors) {
        return new PostedTransfer(rank, what, tensors, shared.deadline, shared::fail);
    }

    void requirePeer(String what, int peer) {
        if (peer < 0 || peer >= size() || peer == rank) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    what + ": rank " + peer + " is no other rank of a group of " + size() + " (this is rank " + rank
                            + ")");
        }
    }

    /** Takes the other side's oldest transfer, or leaves this one for it. */
    private @Nullable PostedTransfer post(Line line, PostedTransfer mine, boolean sends) {
        synchronized (line) {
            TensorException failed = shared.failure.get();
            if (failed != null) {
                throw mine.again(failed);
            }
            PostedTransfer other = (sends ? line.receives : line.sends).pollFirst();
            if (other == null) {
                ArrayDeque<PostedTransfer> own = sends ? line.sends : line.receives;
                if (own.size() == shared.depth) {
                    throw mine.tooMany(shared.depth);
                }
                own.addLast(mine);
            }
            return other;
        }
    }

    /** Both sides are there: the caller copies for both. */
    private void move(PostedTransfer send, PostedTransfer receive) {
        long matched = System.nanoTime();
        String fault = misfit(send.tensors(), receive.tensors());
        if (fault != null) {
            TensorException exception = new TensorException(TensorException.Code.SHAPE, fault);
            send.fail(exception);
            receive.fail(exception);
            shared.fail(exception);
            throw exception;
        }
        long bytes = 0;
        try {
            for (int i = 0; i < send.tensors().size(); i++) {
                Tensor from = send.tensors().get(i);
                shared.copier.copy(from, receive.tensors().get(i));
                bytes += from.elements() * from.dtype().bytes();
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
        int rows = PostedTransfer.rows(send.tensors().getFirst());
        long done = System.nanoTime();
        for (PostedTransfer side : List.of(send, receive)) {
            side.match(matched);
            side.end(rows, bytes, done);
        }
    }

    private static @Nullable String misfit(List<Tensor> message, List<Tensor> buffers) {
        if (message.size() != buffers.size()) {
            return "a message of " + message.size() + " tensors for " + buffers.size() + " buffers";
        }
        for (int i = 0; i < message.size(); i++) {
            Tensor from = message.get(i);
            Tensor to = buffers.get(i);
            boolean wide = from.dimensions() > 1 || to.dimensions() > 1;
            if (from.dtype() != to.dtype()
                    || PostedTransfer.rows(from) > PostedTransfer.rows(to)
                    || wide && from.columns() != to.columns()) {
                return "tensor " + i + " of the message is " + from + ", its buffer " + to;
            }
        }
        return null;
    }

    private static void copyOnHost(Tensor from, Tensor to) {
        int bytes = from.dtype().bytes();
        if (from.isDense() && to.isDense() || from.dimensions() == 1) {
            MemorySegment.copy(from.memory(), 0, to.memory(), 0, from.elements() * bytes);
            return;
        }
        for (int row = 0; row < from.rows(); row++) {
            MemorySegment.copy(
                    from.memory(),
                    row * from.rowStride() * bytes,
                    to.memory(),
                    row * to.rowStride() * bytes,
                    (long) from.columns() * bytes);
        }
    }

    /** Fails the group, because another one that its ranks need has failed. */
    void fail(TensorException cause) {
        shared.fail(cause);
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
}
