package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import java.util.List;

/**
 * Messages between two ranks of one group, for what is no collective: a pipeline stage and its neighbours. Both calls
 * return at once with a handle. Messages from one rank to another arrive in the order of the sends, one a receive.
 *
 * <p>A message is a list of tensors. A receive names as many buffers, of the same dtypes and row lengths and of at least
 * as many rows; the message's rows fill the first of them. Bytes move as soon as both the send and the receive are
 * there, so a receive that is posted before its message is due lets the sender go on at once. A sent tensor must not
 * change, and a buffer must not be read, before its handle has ended.
 *
 * <p>At most {@link #depth} sends and as many receives may be open from one rank to another: a rank that would post more
 * has forgotten to wait for an earlier one, which is refused and not waited for.
 */
public interface PointToPoint extends AutoCloseable {
    /** This rank within the group, 0 to size - 1. */
    int rank();

    /** Ranks in the group. */
    int size();

    /** Sends, and as many receives, that may be open towards one rank. */
    int depth();

    /**
     * Begins to send.
     *
     * @param peer the receiving rank, another one
     * @param message one or more tensors
     * @throws dev.baton.tensor.TensorException SHAPE when the message does not fit the buffers that the peer has posted or
     *     too many sends are open, PEER when the group has failed
     */
    Transfer send(int peer, List<Tensor> message);

    /**
     * Begins to receive.
     *
     * @param peer the sending rank, another one
     * @param buffers one for each tensor of the message
     * @throws dev.baton.tensor.TensorException as {@link #send}
     */
    Transfer receive(int peer, List<Tensor> buffers);

    /** Marks the group failed, so that whoever waits for a transfer returns with an error. */
    void abort(Throwable cause);

    /** Leaves the group: open and later transfers of the others with this rank fail. */
    @Override
    void close();
}
