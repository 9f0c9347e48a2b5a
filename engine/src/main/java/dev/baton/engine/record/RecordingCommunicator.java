package dev.baton.engine.record;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;

/** Runs each collective and tells a sink how long it took, the wait for the other ranks included. */
final class RecordingCommunicator implements Communicator {
    private final Communicator communicator;
    private final SpanSink sink;
    private final int[] groupRanks;

    /** @param groupRanks world ranks of the group */
    RecordingCommunicator(Communicator communicator, SpanSink sink, int[] groupRanks) {
        this.communicator = communicator;
        this.sink = sink;
        this.groupRanks = groupRanks;
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
        long start = System.nanoTime();
        communicator.allReduce(x);
        sink.collective("baton::all_reduce", "allreduce", start, x, x, groupRanks);
    }

    @Override
    public void allGather(Tensor x, Tensor out) {
        long start = System.nanoTime();
        communicator.allGather(x, out);
        sink.collective("baton::all_gather", "_allgather_base", start, x, out, groupRanks);
    }

    @Override
    public void reduceScatter(Tensor x, Tensor out) {
        long start = System.nanoTime();
        communicator.reduceScatter(x, out);
        sink.collective("baton::reduce_scatter", "_reduce_scatter_base", start, x, out, groupRanks);
    }

    @Override
    public void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        long start = System.nanoTime();
        communicator.allToAll(x, sendRows, out, receiveRows);
        sink.collective("baton::all_to_all", "all_to_allv", start, x, out, groupRanks);
    }

    @Override
    public void exchangeCounts(int[] send, int[] receive) {
        long start = System.nanoTime();
        communicator.exchangeCounts(send, receive);
        sink.annotation("baton::exchange_counts", start, null);
    }

    @Override
    public void broadcast(Tensor x, int root) {
        long start = System.nanoTime();
        communicator.broadcast(x, root);
        sink.collective("baton::broadcast", "broadcast", start, x, x, groupRanks);
    }

    @Override
    public void barrier() {
        long start = System.nanoTime();
        communicator.barrier();
        sink.annotation("baton::barrier", start, null);
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
