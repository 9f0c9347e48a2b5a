package dev.baton.tensor.parallel;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Collectives between ranks that are threads of one JVM: each reads the others' tensors where they lie. Sums are taken
 * in rank order. A collective meets twice: once when every tensor is posted, once when nobody reads them any more; it
 * allocates nothing.
 */
public final class LocalCommunicator implements Communicator {
    /** What the ranks of one group share: the tensor each has posted, and the meeting point. */
    private record Shared(
            Rendezvous rendezvous,
            AtomicReferenceArray<Tensor> inputs,
            AtomicReferenceArray<String> operations,
            AtomicReferenceArray<int[]> counts) {}

    private final Shared shared;
    private final int rank;
    private final int size;
    private final RankSum sum;
    /** Every rank's tensor in the collective at hand. */
    private final Tensor[] posted;

    private final Tensor[] target = new Tensor[1];

    private LocalCommunicator(Shared shared, int rank, int size) {
        this.shared = shared;
        this.rank = rank;
        this.size = size;
        this.sum = new RankSum(size);
        this.posted = new Tensor[size];
    }

    /**
     * A group of ranks; element r of the list belongs to rank r's thread. A subset of ranks (an attention-TP group, the
     * experts' group) is a group of its own.
     *
     * @param deadline how long a rank waits for the others in one collective
     */
    public static List<Communicator> group(int size, Duration deadline) {
        if (size < 1) {
            throw new TensorException(TensorException.Code.SHAPE, "a group has at least one rank, not " + size);
        }
        Shared shared = new Shared(
                new Rendezvous(size, deadline),
                new AtomicReferenceArray<>(size),
                new AtomicReferenceArray<>(size),
                new AtomicReferenceArray<>(size));
        List<Communicator> ranks = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            ranks.add(new LocalCommunicator(shared, r, size));
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

    /** Each rank sums its share of the elements and writes the sum to all ranks' tensors. */
    @Override
    public void allReduce(Tensor x) {
        requireF32("allReduce", x);
        if (size == 1) {
            return;
        }
        post("allReduce", x);
        long elements = x.elements();
        long from = share(elements, rank);
        long to = share(elements, rank + 1);
        sum.elements(posted, posted, from, to);
        shared.rendezvous.await(rank, "allReduce");
    }

    /** First element of a rank's share; whole cache lines, so that two ranks do not write to one. */
    private long share(long elements, int r) {
        return r == size ? elements : elements * r / size / 16 * 16;
    }

    @Override
    public void allGather(Tensor x, Tensor out) {
        if (out.rows() != (long) size * x.rows() || out.columns() != x.columns() || out.dtype() != x.dtype()) {
            throw mismatch("allGather", "out must be [" + size + " * T, n]", x, out);
        }
        post("allGather", x);
        for (int r = 0; r < size; r++) {
            copyRows(posted[r], out, (long) r * x.rows());
        }
        shared.rendezvous.await(rank, "allGather");
    }

    @Override
    public void reduceScatter(Tensor x, Tensor out) {
        requireF32("reduceScatter", x);
        requireF32("reduceScatter", out);
        if (x.rows() != (long) size * out.rows() || out.columns() != x.columns()) {
            throw mismatch("reduceScatter", "x must be [" + size + " * T, n], out [T, n]", x, out);
        }
        post("reduceScatter", x);
        target[0] = out;
        for (int row = 0; row < out.rows(); row++) {
            sum.row(posted, (long) rank * out.rows() + row, target, row, 0, out.columns());
        }
        shared.rendezvous.await(rank, "reduceScatter");
    }

    @Override
    public void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        if (x.columns() != out.columns() || x.dtype() != out.dtype()) {
            throw mismatch("allToAll", "both must have the same columns and type", x, out);
        }
        shared.counts.set(rank, sendRows);
        meet("allToAll", x);
        long to = 0;
        for (int r = 0; r < size; r++) {
            int[] theirs = Objects.requireNonNull(shared.counts.get(r));
            long from = 0;
            for (int other = 0; other < rank; other++) {
                from += theirs[other];
            }
            int rows = theirs[rank];
            if (rows != receiveRows[r] || to + rows > out.rows() || from + rows > posted[r].rows()) {
                throw refuse("rank " + rank + " expects " + receiveRows[r] + " rows of rank " + r
                        + " in allToAll and has room for " + (out.rows() - to) + ", rank " + r + " sends " + rows
                        + " from row " + from + " of " + posted[r]);
            }
            if (rows > 0) {
                copyRows(posted[r].rowRange(from, rows), out, to);
            }
            to += rows;
        }
        shared.rendezvous.await(rank, "allToAll");
    }

    @Override
    public void exchangeCounts(int[] send, int[] receive) {
        shared.counts.set(rank, send);
        shared.operations.set(rank, "exchangeCounts");
        shared.rendezvous.await(rank, "exchangeCounts");
        for (int r = 0; r < size; r++) {
            requireSame("exchangeCounts", r);
            receive[r] = Objects.requireNonNull(shared.counts.get(r))[rank];
        }
        shared.rendezvous.await(rank, "exchangeCounts");
    }

    @Override
    public void broadcast(Tensor x, int root) {
        if (root < 0 || root >= size) {
            throw new TensorException(TensorException.Code.SHAPE, "broadcast: root " + root + " of a group of " + size);
        }
        post("broadcast", x);
        if (rank != root) {
            copyRows(posted[root], x, 0);
        }
        shared.rendezvous.await(rank, "broadcast");
    }

    @Override
    public void barrier() {
        shared.rendezvous.await(rank, "barrier");
    }

    @Override
    public void abort(Throwable cause) {
        shared.rendezvous.fail("rank " + rank + " failed: " + cause, cause);
    }

    /** Leaves the group: a rank that still calls a collective gets PEER instead of waiting for this one. */
    @Override
    public void close() {
        if (size > 1) {
            shared.rendezvous.fail("rank " + rank + " has left the group", null);
        }
    }

    /** Shows this rank's tensor to the others and checks that all mean the same collective of the same shape. */
    private void post(String operation, Tensor x) {
        meet(operation, x);
        for (int r = 0; r < size; r++) {
            Tensor other = posted[r];
            if (other.rows() != x.rows() || other.columns() != x.columns() || other.dtype() != x.dtype()) {
                throw refuse("rank " + rank + " calls " + operation + " of " + x + " while rank " + r + " calls "
                        + shared.operations.get(r) + " of " + other);
            }
        }
    }

    /** Shows this rank's tensor to the others and checks that all mean the same collective. */
    private void meet(String operation, Tensor x) {
        shared.inputs.set(rank, x);
        shared.operations.set(rank, operation);
        shared.rendezvous.await(rank, operation);
        for (int r = 0; r < size; r++) {
            posted[r] = Objects.requireNonNull(shared.inputs.get(r));
            requireSame(operation, r);
        }
    }

    private void requireSame(String operation, int r) {
        if (!operation.equals(shared.operations.get(r))) {
            throw refuse(
                    "rank " + rank + " calls " + operation + " while rank " + r + " calls " + shared.operations.get(r));
        }
    }

    /** Fails the group, because its ranks do not do the same. */
    private TensorException refuse(String message) {
        TensorException exception = new TensorException(TensorException.Code.SHAPE, message);
        shared.rendezvous.fail(message, exception);
        return exception;
    }

    static void copyRows(Tensor from, Tensor to, long firstRow) {
        int bytes = from.dtype().bytes();
        MemorySegment target = to.memory();
        if (from.isDense() && to.isDense()) {
            MemorySegment.copy(from.memory(), 0, target, firstRow * to.columns() * bytes, from.elements() * bytes);
            return;
        }
        for (int row = 0; row < from.rows(); row++) {
            MemorySegment.copy(
                    from.memory(),
                    row * from.rowStride() * bytes,
                    target,
                    (firstRow + row) * to.rowStride() * bytes,
                    (long) from.columns() * bytes);
        }
    }

    static void requireF32(String operation, Tensor x) {
        if (x.dtype() != DType.F32) {
            throw new TensorException(TensorException.Code.DTYPE, operation + ": needs F32, got " + x);
        }
    }

    static TensorException mismatch(String operation, String rule, Tensor x, Tensor out) {
        return new TensorException(
                TensorException.Code.SHAPE, operation + ": " + rule + "; got x " + x + ", out " + out);
    }
}
