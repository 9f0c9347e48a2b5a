package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The lines of a {@link NodePointToPoint} group that lead from this node to others and from others here. On the wire a
 * receive is a READY with the number of its buffers, a message one DATA frame for each tensor; {@code kind} is the word in
 * its low byte and the rank that it is for above it, {@code source} the rank that says it.
 *
 * <p>Small messages are written by the rank that sends them when their receiver is ready; others by a thread of the
 * group, so that a rank goes on computing.
 */
final class NodeLines implements FrameReceiver {
    private static final int READY = 1;
    private static final int DATA = 2;
    private static final long SMALL_BYTES = 64 << 10;
    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final NodeMesh mesh;
    private final int channel;
    private final int[] nodeOf;
    private final Duration deadline;
    /** By sending rank, by receiving rank; null where both are on one side of the connections. */
    private final @Nullable OutgoingLine[][] outgoing;

    private final @Nullable IncomingLine[][] incoming;
    private final BlockingQueue<Runnable> writes;
    private final AtomicReference<@Nullable TensorException> failure = new AtomicReference<>();
    private final List<Consumer<TensorException>> listeners = new CopyOnWriteArrayList<>();
    private volatile boolean writing = true;

    /** @param nodeOf [P] node of each rank */
    NodeLines(NodeMesh mesh, int channel, int[] nodeOf, int depth, Duration deadline) {
        this.mesh = mesh;
        this.channel = channel;
        this.nodeOf = nodeOf.clone();
        this.deadline = deadline;
        int size = nodeOf.length;
        this.outgoing = new OutgoingLine[size][size];
        this.incoming = new IncomingLine[size][size];
        // A line stands in it at most once, and the end once.
        this.writes = new ArrayBlockingQueue<>(size * size + 1);
        for (int from = 0; from < size; from++) {
            for (int to = 0; to < size; to++) {
                if (isHere(from) && !isHere(to)) {
                    int source = from;
                    int target = to;
                    outgoing[from][to] = new OutgoingLine(
                            depth, failure, writes, (tensor, payload) -> data(source, target, tensor, payload));
                } else if (!isHere(from) && isHere(to)) {
                    incoming[from][to] = new IncomingLine(depth, failure);
                }
            }
        }
        Thread.ofPlatform().daemon().name("node-sends-" + channel).start(this::write);
        mesh.open(channel, this);
        mesh.whenOver(end -> fail(asException(end)));
    }

    private static TensorException asException(NodeMesh.End end) {
        Throwable cause = end.cause();
        return cause instanceof TensorException known && known.code() == TensorException.Code.SHAPE
                ? known
                : cause == null
                        ? new TensorException(TensorException.Code.PEER, end.text())
                        : new TensorException(TensorException.Code.PEER, end.text(), cause);
    }

    private boolean isHere(int rank) {
        return nodeOf[rank] == mesh.node();
    }

    /** Told once when the lines have failed. */
    void whenFailed(Consumer<TensorException> listener) {
        listeners.add(listener);
        TensorException failed = failure.get();
        if (failed != null) {
            listener.accept(failed);
        }
    }

    private String label(int rank) {
        return "rank " + rank + " on " + mesh.name(nodeOf[rank]);
    }

    private void endAll(TensorException why) {
        mesh.fail(String.valueOf(why.getMessage()), why);
    }

    Transfer send(int rank, int peer, List<Tensor> message) {
        PostedTransfer mine = new PostedTransfer(rank, "send to " + label(peer), message, deadline, this::endAll);
        OutgoingLine line = line(outgoing, rank, peer);
        long bytes = 0;
        for (Tensor tensor : message) {
            bytes += tensor.elements() * tensor.dtype().bytes();
        }
        if (line.post(mine, bytes <= SMALL_BYTES)) {
            line.write();
        }
        return mine;
    }

    Transfer receive(int rank, int peer, List<Tensor> buffers) {
        PostedTransfer mine = new PostedTransfer(rank, "receive from " + label(peer), buffers, deadline, this::endAll);
        line(incoming, peer, rank).post(mine);
        try {
            mesh.send(
                    nodeOf[peer],
                    new Frame(channel, READY | peer << 8, rank, 0, 0, buffers.size(), 0, 0),
                    NOTHING.duplicate());
        } catch (TensorException e) {
            throw mine.again(e);
        }
        return mine;
    }

    private static <T> T line(@Nullable T[][] lines, int from, int to) {
        T line = lines[from][to];
        if (line == null) {
            throw new IllegalStateException("no line from rank " + from + " to rank " + to + " crosses nodes here");
        }
        return line;
    }

    private void data(int from, int to, Tensor tensor, ByteBuffer payload) {
        Frame frame = new Frame(
                channel,
                DATA | to << 8,
                from,
                0,
                tensor.dtype().ordinal(),
                PostedTransfer.rows(tensor),
                PostedTransfer.columns(tensor),
                payload.remaining());
        mesh.send(nodeOf[to], frame, payload);
    }

    private void write() {
        try {
            while (writing) {
                writes.take().run();
            }
        } catch (InterruptedException e) {
            // Nobody interrupts it; the end comes through the queue.
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public ByteBuffer buffer(int node, Frame frame) {
        return begin(incoming(node, frame), frame);
    }

    /** A message that does not fit ends the mesh: both sides learn why. */
    private ByteBuffer begin(IncomingLine line, Frame frame) {
        try {
            return line.begin(frame);
        } catch (TensorException e) {
            endAll(e);
            throw e;
        }
    }

    @Override
    public void received(int node, Frame frame) {
        if ((frame.kind() & 0xFF) == READY) {
            OutgoingLine line =
                    frame.kind() >>> 8 < nodeOf.length ? outgoing[frame.kind() >>> 8][frame.source()] : null;
            if (line == null || nodeOf[frame.source()] != node) {
                throw outOfPlace(frame);
            }
            line.ready(frame.rows());
            return;
        }
        IncomingLine line = incoming(node, frame);
        if (frame.bytes() == 0) {
            begin(line, frame);
        }
        line.end();
    }

    @Override
    public void dropped(int node, Frame frame) {
        if ((frame.kind() & 0xFF) == DATA) {
            incoming(node, frame).drop();
        }
    }

    private IncomingLine incoming(int node, Frame frame) {
        int to = frame.kind() >>> 8;
        boolean known = frame.source() >= 0 && frame.source() < nodeOf.length && to < nodeOf.length;
        IncomingLine line = known ? incoming[frame.source()][to] : null;
        if (line == null || nodeOf[frame.source()] != node || (frame.kind() & 0xFF) != DATA) {
            throw outOfPlace(frame);
        }
        return line;
    }

    private IllegalStateException outOfPlace(Frame frame) {
        return new IllegalStateException("out of place in a group of " + nodeOf.length + ": " + frame);
    }

    /** Fails what is open; a message whose bytes move ends by itself. The first cause stays. */
    private void fail(TensorException cause) {
        if (!failure.compareAndSet(null, cause)) {
            return;
        }
        all().forEach(line -> line.fail(cause));
        // Behind whatever was to be written: no line adds to it once it has failed.
        writes.add(() -> writing = false);
        listeners.forEach(listener -> listener.accept(cause));
    }

    /** Fails the lines of this node and waits until no bytes move. */
    void leave(TensorException why) {
        fail(why);
        all().forEach(line -> line.awaitQuiet(deadline));
    }

    private List<NodeLine> all() {
        List<NodeLine> all = new ArrayList<>();
        for (int from = 0; from < nodeOf.length; from++) {
            for (int to = 0; to < nodeOf.length; to++) {
                if (outgoing[from][to] != null) {
                    all.add(outgoing[from][to]);
                }
                if (incoming[from][to] != null) {
                    all.add(incoming[from][to]);
                }
            }
        }
        return all;
    }
}
