package dev.baton.tensor.parallel;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.NodeGroup.Call;
import dev.baton.tensor.parallel.NodeGroup.Operation;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Collectives of a group whose ranks live in several JVMs. Ranks of one JVM read each other's tensors where they lie;
 * every other JVM gets one copy of each rank's elements. Every rank sums all P tensors in rank order, so all get the bits
 * that {@link LocalCommunicator} gives: to add up one node's ranks first would save bytes but give other bits.
 *
 * <p>Host memory only.
 */
public final class NodeCommunicator implements Communicator {
    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final NodeGroup group;
    private final int rank;
    private final int size;
    private final int[] others;
    private final RankSum sum;
    /** Every rank's call in the collective at hand. */
    private final @Nullable Call[] met;

    private final Tensor[] inputs;
    private final Tensor[] targets;
    private final Tensor[] target = new Tensor[1];
    private ByteBuffer packed = NOTHING;
    private long sequence;

    private NodeCommunicator(NodeGroup group, int rank) {
        this.group = group;
        this.rank = rank;
        this.size = group.size();
        this.others = group.otherNodes();
        this.sum = new RankSum(size);
        this.met = new Call[size];
        this.inputs = new Tensor[size];
        this.targets = new Tensor[group.count()];
    }

    /**
     * Joins a group; every node with a rank in it calls this with the same arguments.
     *
     * @param channel number of the group in the mesh
     * @param nodeOf node of each rank of the group, ascending
     * @param deadline how long a rank waits for the others in one collective
     * @return the communicators of this node's ranks, in rank order
     */
    public static List<Communicator> group(NodeMesh mesh, int channel, int[] nodeOf, Duration deadline) {
        NodeGroup group = new NodeGroup(mesh, channel, nodeOf, deadline);
        List<Communicator> ranks = new ArrayList<>();
        for (int r = group.first(); r < group.first() + group.count(); r++) {
            ranks.add(new NodeCommunicator(group, r));
        }
        return List.copyOf(ranks);
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return size;
    }

    /** Each rank sums its share of the elements for all ranks of its node. */
    @Override
    public void allReduce(Tensor x) {
        LocalCommunicator.requireF32("allReduce", x);
        sendToAll(call(Operation.ALL_REDUCE, 0, x, x));
        elements();
        for (int l = 0; l < targets.length; l++) {
            targets[l] = inputs[group.first() + l];
        }
        int local = rank - group.first();
        long all = x.elements();
        sum.elements(inputs, targets, share(all, local), share(all, local + 1));
        group.part(rank, Operation.ALL_REDUCE);
    }

    /** First element of a local rank's share; whole cache lines. */
    private long share(long elements, int local) {
        return local == targets.length ? elements : elements * local / targets.length / 16 * 16;
    }

    @Override
    public void allGather(Tensor x, Tensor out) {
        if (out.rows() != (long) size * x.rows() || out.columns() != x.columns() || out.dtype() != x.dtype()) {
            throw LocalCommunicator.mismatch("allGather", "out must be [" + size + " * T, n]", x, out);
        }
        sendToAll(call(Operation.ALL_GATHER, 0, x, x));
        elements();
        for (int r = 0; r < size; r++) {
            LocalCommunicator.copyRows(inputs[r], out, (long) r * x.rows());
        }
        group.part(rank, Operation.ALL_GATHER);
    }

    /** Every node gets the rows of its own ranks only. */
    @Override
    public void reduceScatter(Tensor x, Tensor out) {
        LocalCommunicator.requireF32("reduceScatter", x);
        LocalCommunicator.requireF32("reduceScatter", out);
        int rows = out.rows();
        if (x.rows() != (long) size * rows || out.columns() != x.columns()) {
            throw LocalCommunicator.mismatch("reduceScatter", "x must be [" + size + " * T, n], out [T, n]", x, out);
        }
        sequence++;
        Tensor here = x.rowRange((long) group.first() * rows, (long) group.count() * rows);
        Call call = call(Operation.REDUCE_SCATTER, 0, x, here);
        for (int node : others) {
            Tensor there = x.rowRange((long) group.firstOf(node) * rows, (long) group.countOf(node) * rows);
            group.send(node, rank, sequence, call, bytes(there));
        }
        group.meet(rank, sequence, call, met);
        elements();
        target[0] = out;
        for (int row = 0; row < rows; row++) {
            sum.row(inputs, (long) (rank - group.first()) * rows + row, target, row, 0, out.columns());
        }
        group.part(rank, Operation.REDUCE_SCATTER);
    }

    /** A node gets the rows of its own ranks, and before them how many there are for each. */
    @Override
    public void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        if (x.columns() != out.columns() || x.dtype() != out.dtype()) {
            throw LocalCommunicator.mismatch("allToAll", "both must have the same columns and type", x, out);
        }
        sequence++;
        Call call = new Call(Operation.ALL_TO_ALL, 0, x.dtype(), 0, x.columns(), x, sendRows);
        for (int node : others) {
            int first = group.firstOf(node);
            int count = group.countOf(node);
            Tensor there = x.rowRange(rows(sendRows, 0, first), rows(sendRows, first, first + count));
            group.send(node, rank, sequence, call, counts(sendRows, first, count), bytes(there));
        }
        group.meet(rank, sequence, call, met);
        long to = 0;
        for (int r = 0; r < size; r++) {
            int[] theirs = call(r).rowCounts();
            // Of a rank elsewhere only this node's part has come.
            int mine = group.isHere(r) ? rank : rank - group.first();
            Tensor from = call(r).elements();
            long skipped = rows(theirs, 0, mine);
            int rows = theirs[mine];
            if (rows != receiveRows[r] || to + rows > out.rows() || skipped + rows > from.rows()) {
                throw refuse("rank " + rank + " expects " + receiveRows[r] + " rows of rank " + r
                        + " in allToAll and has room for " + (out.rows() - to) + ", rank " + r + " sends " + rows
                        + " from row " + skipped + " of " + from);
            }
            if (rows > 0) {
                LocalCommunicator.copyRows(from.rowRange(skipped, rows), out, to);
            }
            to += rows;
        }
        group.part(rank, Operation.ALL_TO_ALL);
    }

    @Override
    public void exchangeCounts(int[] send, int[] receive) {
        sequence++;
        Call call = new Call(Operation.EXCHANGE_COUNTS, 0, DType.I32, 0, 0, null, send);
        for (int node : others) {
            group.send(node, rank, sequence, call, counts(send, group.firstOf(node), group.countOf(node)));
        }
        group.meet(rank, sequence, call, met);
        for (int r = 0; r < size; r++) {
            receive[r] = call(r).rowCounts()[group.isHere(r) ? rank : rank - group.first()];
        }
        group.part(rank, Operation.EXCHANGE_COUNTS);
    }

    private static long rows(int[] counts, int from, int to) {
        long rows = 0;
        for (int r = from; r < to; r++) {
            rows += counts[r];
        }
        return rows;
    }

    private static ByteBuffer counts(int[] all, int first, int count) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.nativeOrder());
        bytes.asIntBuffer().put(all, first, count);
        return bytes;
    }

    /** Ends the mesh, because the ranks do not do the same. */
    private TensorException refuse(String message) {
        TensorException exception = new TensorException(TensorException.Code.SHAPE, message);
        group.mesh().fail(message, exception);
        return exception;
    }

    /** The root's elements go to every other node once; the other ranks say that they are there. */
    @Override
    public void broadcast(Tensor x, int root) {
        if (root < 0 || root >= size) {
            throw new TensorException(TensorException.Code.SHAPE, "broadcast: root " + root + " of a group of " + size);
        }
        sendToAll(call(Operation.BROADCAST, root, x, rank == root ? x : null));
        if (rank != root) {
            LocalCommunicator.copyRows(call(root).elements(), x, 0);
        }
        group.part(rank, Operation.BROADCAST);
    }

    @Override
    public void barrier() {
        sendToAll(new Call(Operation.BARRIER, 0, DType.F32, 0, 0, null, null));
        // Until here the others may still read this rank's call.
        group.part(rank, Operation.BARRIER);
    }

    @Override
    public void abort(Throwable cause) {
        group.mesh().fail("rank " + rank + " failed: " + cause, cause);
    }

    /** Leaves the group: a rank of this node that still calls a collective gets PEER instead of waiting for this one. */
    @Override
    public void close() {
        group.leave(rank);
    }

    private static Call call(Operation operation, int root, Tensor shape, @Nullable Tensor elements) {
        return new Call(operation, root, shape.dtype(), shape.rows(), shape.columns(), elements, null);
    }

    /** One message to every other node, then everyone's calls in {@link #met}. */
    private void sendToAll(Call call) {
        sequence++;
        Tensor elements = call.tensor();
        ByteBuffer payload = elements == null ? NOTHING : bytes(elements);
        for (int node : others) {
            group.send(node, rank, sequence, call, payload.duplicate());
        }
        group.meet(rank, sequence, call, met);
    }

    private Call call(int r) {
        return Objects.requireNonNull(met[r]);
    }

    private void elements() {
        for (int r = 0; r < size; r++) {
            inputs[r] = call(r).elements();
        }
    }

    /** A tensor's elements, dense: where they lie, or packed. */
    private ByteBuffer bytes(Tensor x) {
        long bytes = x.elements() * x.dtype().bytes();
        if (bytes > Integer.MAX_VALUE - 64) {
            throw new TensorException(
                    TensorException.Code.SHAPE, x + " is too large to be sent to another node: " + bytes + " bytes");
        }
        if (x.isDense()) {
            return x.memory().asSlice(0, bytes).asByteBuffer();
        }
        if (packed.capacity() < bytes) {
            packed = ByteBuffer.allocateDirect((int) bytes);
        }
        packed.clear().limit((int) bytes);
        Tensor dense = Tensor.dense(MemorySegment.ofBuffer(packed), x.dtype(), x.rows(), x.columns());
        LocalCommunicator.copyRows(x, dense, 0);
        return packed;
    }
}
