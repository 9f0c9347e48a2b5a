package dev.baton.engine.rehearse;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;

/**
 * Collectives that take the time of a modelled network: each is carried out, which brings the ranks together, then the
 * modelled time passes on every rank. So a rank that is late makes the others wait as on a real network, and the model's
 * time comes on top of what the copy in memory takes.
 */
final class RehearsedCommunicator implements Communicator {
    private final Communicator communicator;
    private final RankLink link;

    RehearsedCommunicator(Communicator communicator, RankLink link) {
        this.communicator = communicator;
        this.link = link;
    }

    private static long bytes(Tensor x) {
        return x.elements() * x.dtype().bytes();
    }

    @Override
    public int rank() {
        return communicator.rank();
    }

    @Override
    public int size() {
        return communicator.size();
    }

    @Override
    public void allReduce(Tensor x) {
        communicator.allReduce(x);
        link.pass(link.model().allReduce(size(), bytes(x)));
    }

    @Override
    public void allGather(Tensor x, Tensor out) {
        communicator.allGather(x, out);
        link.pass(link.model().allGather(size(), bytes(x)));
    }

    @Override
    public void reduceScatter(Tensor x, Tensor out) {
        communicator.reduceScatter(x, out);
        link.pass(link.model().reduceScatter(size(), bytes(out)));
    }

    /** What a rank keeps for itself does not travel. */
    @Override
    public void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        communicator.allToAll(x, sendRows, out, receiveRows);
        long rowBytes = (long) x.columns() * x.dtype().bytes();
        link.pass(link.model().allToAll(others(sendRows) * rowBytes, others(receiveRows) * rowBytes));
    }

    private long others(int[] rows) {
        return java.util.Arrays.stream(rows).asLongStream().sum() - rows[rank()];
    }

    @Override
    public void exchangeCounts(int[] send, int[] receive) {
        communicator.exchangeCounts(send, receive);
        long bytes = Integer.BYTES * (size() - 1L);
        link.pass(link.model().allToAll(bytes, bytes));
    }

    @Override
    public void broadcast(Tensor x, int root) {
        communicator.broadcast(x, root);
        link.pass(link.model().broadcast(size(), bytes(x)));
    }

    @Override
    public void barrier() {
        communicator.barrier();
        link.pass(link.model().barrier(size()));
    }

    @Override
    public void abort(Throwable cause) {
        communicator.abort(cause);
    }

    @Override
    public void close() {
        communicator.close();
    }
}
