package dev.baton.cuda.nccl;

import dev.baton.cuda.driver.Gpu;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.parallel.Communicator;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * One rank's end of an {@link NcclGroup}: collectives are queued on its GPU's stream like operators and recorded in graphs
 * with them. Sums are the same bits on every rank. That a rank does not come shows where the host next waits for the
 * device: a failed rank ends the others' kernels, a rank that hangs is the watchdog's business.
 */
final class NcclCommunicator implements Communicator {
    private static final long ABORT_WAIT_SECONDS = 2;

    private final NcclGroup group;
    private final Communicator host;
    private final Gpu gpu;
    private final long stream;
    /** Held by calls of the library: the communicator's memory must stand while one is in it. */
    private final ReentrantLock calls = new ReentrantLock();

    /** 0 when it has been given back. */
    private long handle;

    NcclCommunicator(NcclGroup group, Communicator host, Gpu gpu, long handle) {
        this.group = group;
        this.host = host;
        this.gpu = gpu;
        this.stream = gpu.stream();
        this.handle = handle;
    }

    @Override
    public int rank() {
        return host.rank();
    }

    @Override
    public int size() {
        return host.size();
    }

    @Override
    public boolean isRecordable() {
        return true;
    }

    /** A call with this rank's communicator. */
    @FunctionalInterface
    private interface Use {
        int run(long communicator) throws Throwable;
    }

    private void queue(String operation, Use use) {
        calls.lock();
        try {
            TensorException failed = group.failure();
            if (failed != null || handle == 0) {
                throw new TensorException(
                        TensorException.Code.PEER,
                        "rank " + rank() + ", " + operation + ": "
                                + (failed == null ? "this rank has left the group" : failed.getMessage()),
                        failed);
            }
            long mine = handle;
            Nccl.run("rank " + rank() + ", " + operation, () -> use.run(mine));
        } finally {
            calls.unlock();
        }
    }

    @Override
    public void allReduce(Tensor x) {
        int type = Nccl.type("allReduce", x.dtype());
        long address = dense("allReduce", x);
        long count = x.elements();
        queue("allReduce", c -> (int) Nccl.ALL_REDUCE.invokeExact(address, address, count, type, Nccl.SUM, c, stream));
    }

    @Override
    public void allGather(Tensor x, Tensor out) {
        if (out.rows() != (long) size() * x.rows() || out.columns() != x.columns() || out.dtype() != x.dtype()) {
            throw misfit("allGather", "out must be [" + size() + " * T, n]", x, out);
        }
        long from = dense("allGather", x);
        long to = dense("allGather", out);
        long bytes = bytes(x);
        queue("allGather", c -> (int) Nccl.ALL_GATHER.invokeExact(from, to, bytes, Nccl.BYTES, c, stream));
    }

    @Override
    public void reduceScatter(Tensor x, Tensor out) {
        if (x.rows() != (long) size() * out.rows() || out.columns() != x.columns() || out.dtype() != x.dtype()) {
            throw misfit("reduceScatter", "x must be [" + size() + " * T, n], out [T, n]", x, out);
        }
        int type = Nccl.type("reduceScatter", x.dtype());
        long from = dense("reduceScatter", x);
        long to = dense("reduceScatter", out);
        long count = out.elements();
        queue("reduceScatter", c -> (int) Nccl.REDUCE_SCATTER.invokeExact(from, to, count, type, Nccl.SUM, c, stream));
    }

    /** Sends and receives of one group, which the library moves at the same time. */
    @Override
    public void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        if (x.columns() != out.columns() || x.dtype() != out.dtype()) {
            throw misfit("allToAll", "both must have the same columns and type", x, out);
        }
        long rowBytes = (long) x.columns() * x.dtype().bytes();
        requireRoom("sends", sendRows, x);
        requireRoom("receives", receiveRows, out);
        long from = dense("allToAll", x);
        long to = dense("allToAll", out);
        queue("allToAll", c -> {
            int code = (int) Nccl.GROUP_START.invokeExact();
            long sent = from;
            long received = to;
            for (int peer = 0; peer < sendRows.length && code == 0; peer++) {
                long out1 = sendRows[peer] * rowBytes;
                long in1 = receiveRows[peer] * rowBytes;
                if (out1 > 0) {
                    code = (int) Nccl.SEND.invokeExact(sent, out1, Nccl.BYTES, peer, c, stream);
                }
                if (in1 > 0 && code == 0) {
                    code = (int) Nccl.RECEIVE.invokeExact(received, in1, Nccl.BYTES, peer, c, stream);
                }
                sent += out1;
                received += in1;
            }
            int ended = (int) Nccl.GROUP_END.invokeExact();
            return code != 0 ? code : ended;
        });
    }

    private void requireRoom(String what, int[] rows, Tensor buffer) {
        long all = 0;
        for (int count : rows) {
            all += count;
        }
        if (rows.length != size() || all > buffer.rows()) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "allToAll: rank " + rank() + " of " + size() + " " + what + " " + java.util.Arrays.toString(rows)
                            + " rows of " + buffer);
        }
    }

    @Override
    public void exchangeCounts(int[] send, int[] receive) {
        host.exchangeCounts(send, receive);
    }

    @Override
    public void broadcast(Tensor x, int root) {
        if (root < 0 || root >= size()) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "broadcast: root " + root + " of a group of " + size());
        }
        long address = dense("broadcast", x);
        long bytes = bytes(x);
        queue("broadcast", c -> (int) Nccl.BROADCAST.invokeExact(address, address, bytes, Nccl.BYTES, root, c, stream));
    }

    @Override
    public void barrier() {
        host.barrier();
    }

    @Override
    public void abort(Throwable cause) {
        host.abort(cause);
        group.fail(new TensorException(TensorException.Code.PEER, "rank " + rank() + " failed: " + cause, cause));
    }

    /** Ends what is under way; called by the group. */
    void abortNow() {
        boolean mine = false;
        try {
            // A call that does not come back is ended by this, too.
            mine = calls.tryLock(ABORT_WAIT_SECONDS, TimeUnit.SECONDS);
            long last = handle;
            handle = 0;
            if (last != 0) {
                Nccl.run("ncclCommAbort", () -> (int) Nccl.ABORT.invokeExact(last));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            if (mine) {
                calls.unlock();
            }
        }
    }

    /** Leaves the group when all ranks do; graphs that recorded its collectives must be closed before. */
    @Override
    public void close() {
        if (group.failure() == null) {
            try {
                gpu.synchronize();
                host.barrier();
            } catch (TensorException e) {
                group.fail(e);
            }
        }
        if (group.failure() != null) {
            group.awaitAborted();
            return;
        }
        calls.lock();
        try {
            long last = handle;
            handle = 0;
            if (last != 0) {
                Nccl.run("ncclCommDestroy", () -> (int) Nccl.DESTROY.invokeExact(last));
            }
        } finally {
            calls.unlock();
        }
        host.close();
    }

    private static long dense(String operation, Tensor x) {
        if (!x.isDense() && x.rows() > 1) {
            throw new TensorException(TensorException.Code.SHAPE, operation + ": needs dense rows, got " + x);
        }
        return x.memory().address();
    }

    private static long bytes(Tensor x) {
        DType dtype = x.dtype();
        return x.elements() * dtype.bytes();
    }

    private static TensorException misfit(String operation, String rule, Tensor x, Tensor out) {
        return new TensorException(
                TensorException.Code.SHAPE, operation + ": " + rule + "; got x " + x + ", out " + out);
    }
}
