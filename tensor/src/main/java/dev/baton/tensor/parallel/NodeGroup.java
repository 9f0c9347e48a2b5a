package dev.baton.tensor.parallel;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * What the ranks of one group that live on this node share: the calls they have posted and those that came from other
 * nodes. A group has P ranks; those of one node are neighbours.
 *
 * <p>In a collective every rank sends one message to every other node of the group, an empty one where it has nothing to
 * say. So no rank can be more than one collective ahead of another, and two buffers a remote rank are enough: message
 * s + 2 is not sent before every rank here has sent s + 1, which it does after it has read s.
 */
final class NodeGroup implements FrameReceiver {
    private static final DType[] DTYPES = DType.values();
    private static final Operation[] OPERATIONS = Operation.values();

    /** What ranks do together. */
    enum Operation {
        ALL_REDUCE("allReduce"),
        ALL_GATHER("allGather"),
        REDUCE_SCATTER("reduceScatter"),
        BROADCAST("broadcast"),
        ALL_TO_ALL("allToAll"),
        EXCHANGE_COUNTS("exchangeCounts"),
        BARRIER("barrier");

        private final String label;

        Operation(String label) {
            this.label = label;
        }

        String label() {
            return label;
        }

        /** Whether every rank gets something else: a message begins with how many rows are for whom. */
        boolean counts() {
            return this == ALL_TO_ALL || this == EXCHANGE_COUNTS;
        }
    }

    /**
     * One rank's part in a collective.
     *
     * @param root of a broadcast; 0 otherwise
     * @param rows shape that all ranks must agree on; 0 where each may have its own
     * @param tensor the rank's elements, as far as they matter here; null for none
     * @param counts rows for each rank of the group, of a rank elsewhere for each rank of this node; null where all get the
     *     same
     */
    record Call(
            Operation operation,
            int root,
            DType dtype,
            int rows,
            int columns,
            @Nullable Tensor tensor,
            int @Nullable [] counts) {
        boolean agreesWith(Call other) {
            return operation == other.operation
                    && root == other.root
                    && dtype == other.dtype
                    && rows == other.rows
                    && columns == other.columns;
        }

        Tensor elements() {
            return Objects.requireNonNull(tensor, "no elements came with the call");
        }

        int[] rowCounts() {
            return Objects.requireNonNull(counts, "no counts came with the call");
        }

        @Override
        public String toString() {
            return operation.label() + " of " + dtype + "[" + rows + ", " + columns + "]"
                    + (operation == Operation.BROADCAST ? " from " + root : "");
        }
    }

    /** Where a remote rank's messages land. */
    private static final class Remote {
        private final MemorySegment[] memory = {MemorySegment.NULL, MemorySegment.NULL};
        private final @Nullable Call[] calls = new Call[2];
        /** Messages that have come. */
        private volatile long received;
    }

    private final NodeMesh mesh;
    private final int channel;
    private final int[] nodeOf;
    private final int first;
    private final int count;
    private final Rendezvous local;
    private final Arrivals arrivals;
    private final AtomicReferenceArray<Call> calls;
    private final @Nullable Remote[] remotes;

    /** Ranks of this node that wait for messages of the others. */
    private final class Arrivals extends Waiters {
        Arrivals(int size, Duration deadline) {
            super(size, deadline);
        }

        @Override
        boolean isOver(long mark) {
            if (local.hasFailed()) {
                return true;
            }
            for (Remote remote : remotes) {
                if (remote != null && remote.received < mark) {
                    return false;
                }
            }
            return true;
        }
    }

    /** @param nodeOf [P] node of each rank, ascending */
    NodeGroup(NodeMesh mesh, int channel, int[] nodeOf, Duration deadline) {
        this.mesh = mesh;
        this.channel = channel;
        this.nodeOf = nodeOf.clone();
        int before = 0;
        int here = 0;
        this.remotes = new Remote[nodeOf.length];
        for (int r = 0; r < nodeOf.length; r++) {
            if (r > 0 && nodeOf[r] < nodeOf[r - 1]) {
                throw new IllegalArgumentException("ranks of a group must be ordered by node");
            }
            before += nodeOf[r] < mesh.node() ? 1 : 0;
            here += nodeOf[r] == mesh.node() ? 1 : 0;
            remotes[r] = nodeOf[r] == mesh.node() ? null : new Remote();
        }
        this.first = before;
        this.count = here;
        this.local = new Rendezvous(count, deadline);
        this.arrivals = new Arrivals(count, deadline);
        this.calls = new AtomicReferenceArray<>(count);
        mesh.open(channel, this);
        mesh.whenOver(end -> {
            local.fail(end.text(), end.cause());
            arrivals.wakeAll();
        });
    }

    /** P. */
    int size() {
        return nodeOf.length;
    }

    /** First rank of this node. */
    int first() {
        return first;
    }

    /** Ranks of this node. */
    int count() {
        return count;
    }

    boolean isHere(int rank) {
        return nodeOf[rank] == mesh.node();
    }

    /** First rank of a node. */
    int firstOf(int node) {
        int rank = 0;
        while (nodeOf[rank] != node) {
            rank++;
        }
        return rank;
    }

    int countOf(int node) {
        int ranks = 0;
        for (int n : nodeOf) {
            ranks += n == node ? 1 : 0;
        }
        return ranks;
    }

    /** Nodes of the group but this one. */
    int[] otherNodes() {
        return Arrays.stream(nodeOf).distinct().filter(n -> n != mesh.node()).toArray();
    }

    NodeMesh mesh() {
        return mesh;
    }

    /** Sends a rank's call to another node. */
    void send(int node, int rank, long sequence, Call call, ByteBuffer... payload) {
        Frame frame = new Frame(
                channel,
                call.operation().ordinal() | call.root() << 8,
                rank,
                sequence,
                call.dtype().ordinal(),
                call.rows(),
                call.columns(),
                Arrays.stream(payload).mapToLong(ByteBuffer::remaining).sum());
        mesh.send(node, frame, payload);
    }

    /**
     * Shows a call to the other ranks of this node, waits for everyone's, and checks that all mean the same.
     *
     * @param sequence this rank's collectives so far, this one included
     * @param all [P] filled with the calls of every rank
     */
    void meet(int rank, long sequence, Call call, @Nullable Call[] all) {
        calls.set(rank - first, call);
        local.await(rank - first, call.operation().label());
        if (!arrivals.await(rank - first, sequence)) {
            mesh.fail(
                    "rank " + rank + " waited " + arrivals.deadline() + " in "
                            + call.operation().label() + " for " + absent(sequence),
                    null);
        }
        local.throwIfFailed(rank, call.operation().label());
        for (int r = 0; r < size(); r++) {
            Remote remote = remotes[r];
            Call other =
                    Objects.requireNonNull(remote == null ? calls.get(r - first) : remote.calls[(int) (sequence & 1)]);
            if (!other.agreesWith(call)) {
                TensorException exception = new TensorException(
                        TensorException.Code.SHAPE,
                        "rank " + rank + " calls " + call + " while rank " + r + " calls " + other);
                mesh.fail(String.valueOf(exception.getMessage()), exception);
                throw exception;
            }
            all[r] = other;
        }
    }

    private String absent(long sequence) {
        List<String> late = new ArrayList<>();
        for (int r = 0; r < size(); r++) {
            Remote remote = remotes[r];
            if (remote != null && remote.received < sequence) {
                late.add("rank " + r + " on " + mesh.name(nodeOf[r]));
            }
        }
        return String.join(", ", late);
    }

    /** No rank of this node reads the others' elements any more. */
    void part(int rank, Operation operation) {
        local.await(rank - first, operation.label());
    }

    void leave(int rank) {
        local.fail("rank " + rank + " has left the group", null);
        arrivals.wakeAll();
    }

    @Override
    public ByteBuffer buffer(int node, Frame frame) {
        Remote remote = remote(node, frame);
        int slot = (int) (frame.sequence() & 1);
        if (remote.memory[slot].byteSize() < frame.bytes()) {
            long bytes = Math.max(4096, Long.highestOneBit(frame.bytes() - 1) << 1);
            remote.memory[slot] = Arena.ofAuto().allocate(bytes, 64);
        }
        return remote.memory[slot].asByteBuffer();
    }

    @Override
    public void received(int node, Frame frame) {
        Remote remote = remote(node, frame);
        int slot = (int) (frame.sequence() & 1);
        remote.calls[slot] = call(remote.memory[slot], frame);
        remote.received = frame.sequence();
        arrivals.wakeAll();
    }

    private Call call(MemorySegment memory, Frame frame) {
        Operation operation = OPERATIONS[frame.kind() & 0xFF];
        DType dtype = DTYPES[frame.dtype()];
        int[] counts = null;
        Tensor elements;
        if (operation.counts()) {
            long countBytes = 4L * count;
            counts = memory.asSlice(0, countBytes).toArray(ValueLayout.JAVA_INT);
            long rows = frame.columns() == 0 ? 0 : (frame.bytes() - countBytes) / frame.columns() / dtype.bytes();
            elements =
                    Tensor.dense(memory.asSlice(countBytes, frame.bytes() - countBytes), dtype, rows, frame.columns());
        } else {
            elements = elements(memory, dtype, frame);
        }
        return new Call(operation, frame.kind() >>> 8, dtype, frame.rows(), frame.columns(), elements, counts);
    }

    /** No payload is no elements, unless the shape says that there are none. */
    private static @Nullable Tensor elements(MemorySegment memory, DType dtype, Frame frame) {
        if (frame.rows() == 0 || frame.columns() == 0) {
            return Tensor.dense(memory, dtype, frame.rows(), frame.columns());
        }
        long rowBytes = (long) frame.columns() * dtype.bytes();
        return frame.bytes() == 0 ? null : Tensor.dense(memory, dtype, frame.bytes() / rowBytes, frame.columns());
    }

    private Remote remote(int node, Frame frame) {
        Remote remote = frame.source() >= 0 && frame.source() < size() ? remotes[frame.source()] : null;
        if (remote == null || nodeOf[frame.source()] != node || frame.sequence() != remote.received + 1) {
            throw new IllegalStateException("out of place in a group of " + size() + ": " + frame);
        }
        return remote;
    }
}
