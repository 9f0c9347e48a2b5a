package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;

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

    /** x = sum over ranks of x; F32, any shape. */
    void allReduce(Tensor x);

    /** out = the ranks' {@code x} one after the other along the first dimension: out [size * T, n]. */
    void allGather(Tensor x, Tensor out);

    /** out [T, n] = rows [rank * T, (rank + 1) * T) of the sum over ranks of x [size * T, n]. */
    void reduceScatter(Tensor x, Tensor out);

    /** x = the root's x; any dtype. */
    void broadcast(Tensor x, int root);

    /** Returns when every rank has called it. */
    void barrier();

    /** Marks the group failed, so that ranks waiting in a collective return with an error. */
    void abort(Throwable cause);

    @Override
    void close();
}
