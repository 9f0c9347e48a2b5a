package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;

/**
 * Collectives of one group of ranks. Every rank of the group calls the same sequence with the same shapes. Sums are
 * taken in rank order, so every rank gets the same bits. A rank that does not arrive within the deadline, or fails,
 * makes the call throw {@code TensorException(PEER)} on all others.
 */
public interface Communicator extends AutoCloseable {
    /** This rank within the group, 0 to size - 1. */
    int rank();

    /** Ranks in the group. */
    int size();

    /** Whether its collectives are queued on the device like operators, so that graphs record them. */
    default boolean isRecordable() {
        return false;
    }

    /** x = sum over ranks of x; F32 (between GPUs the type of activations, too), any shape. */
    void allReduce(Tensor x);

    /** out = the ranks' {@code x} one after the other along the first dimension: out [size * T, n]. */
    void allGather(Tensor x, Tensor out);

    /** out [T, n] = rows [rank * T, (rank + 1) * T) of the sum over ranks of x [size * T, n]. */
    void reduceScatter(Tensor x, Tensor out);

    /**
     * Every rank gets rows from every rank: {@code out} = the rows that rank 0, 1, ... has for this one, one after the
     * other. Ranks may bring different numbers of rows, also none.
     *
     * @param x [S, n], any dtype: first the rows for rank 0, then those for rank 1, ...
     * @param sendRows [size] how many there are for each rank, at most S together
     * @param receiveRows [size] how many come from each rank, see {@link #exchangeCounts}; at most out's rows together
     */
    default void allToAll(Tensor x, int[] sendRows, Tensor out, int[] receiveRows) {
        throw new TensorException(
                TensorException.Code.UNAVAILABLE, "this group of " + size() + " ranks has no all-to-all");
    }

    /** receive[r] = what rank r has for this rank: element {@code rank()} of its {@code send}. Both of length size. */
    default void exchangeCounts(int[] send, int[] receive) {
        throw new TensorException(
                TensorException.Code.UNAVAILABLE, "this group of " + size() + " ranks has no all-to-all");
    }

    /** x = the root's x; any dtype. */
    void broadcast(Tensor x, int root);

    /** Returns when every rank has called it. */
    void barrier();

    /** Marks the group failed, so that ranks waiting in a collective return with an error. */
    void abort(Throwable cause);

    @Override
    void close();
}
