package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One side of a message of a {@link PointToPoint}: posted by a rank's thread, ended by whoever moves the bytes. */
final class PostedTransfer implements Transfer {
    private final int rank;
    private final String what;
    private final List<Tensor> tensors;
    private final Duration deadline;
    private final Consumer<TensorException> late;
    private final long posted = System.nanoTime();
    private final Completion completion = new Completion();
    private long matched = posted;
    private volatile @Nullable Moved moved;
    private volatile @Nullable TensorException failure;

    /**
     * @param rank whose it is
     * @param what for messages, e.g. "send to rank 1"
     * @param tensors the message, or its buffers
     * @param late fails the group when the other side has not come within the deadline
     */
    PostedTransfer(int rank, String what, List<Tensor> tensors, Duration deadline, Consumer<TensorException> late) {
        if (tensors.isEmpty()) {
            throw new TensorException(TensorException.Code.SHAPE, what + ": a message has at least one tensor");
        }
        this.rank = rank;
        this.what = what;
        this.tensors = List.copyOf(tensors);
        this.deadline = deadline;
        this.late = late;
    }

    List<Tensor> tensors() {
        return tensors;
    }

    /** The other side is there since {@code nanos}; called before {@link #end}, by the thread that ends it. */
    void match(long nanos) {
        matched = Math.max(posted, nanos);
    }

    /** The bytes have been moved. */
    void end(int rows, long bytes, long nanos) {
        moved = new Moved(rows, bytes, posted, matched, nanos);
        completion.complete();
    }

    void fail(TensorException cause) {
        failure = cause;
        completion.complete();
    }

    /** The refusal of a rank that posts more than the depth. */
    TensorException tooMany(int depth) {
        return new TensorException(
                TensorException.Code.SHAPE,
                "rank " + rank + ", " + what + ": " + depth + " are open already; wait for one");
    }

    /** A failure of the group, as this side tells it. */
    TensorException again(TensorException cause) {
        return new TensorException(cause.code(), "rank " + rank + ", " + what + ": " + cause.getMessage(), cause);
    }

    @Override
    public boolean isDone() {
        return completion.isComplete();
    }

    @Override
    public Moved await() {
        if (!completion.await(deadline.toNanos())) {
            late.accept(new TensorException(
                    TensorException.Code.PEER, "rank " + rank + " waited " + deadline + " in " + what));
            // A move that had begun ends; one that had not has failed now.
            completion.await(deadline.toNanos());
        }
        Moved result = moved;
        if (result != null) {
            return result;
        }
        TensorException cause = failure;
        throw cause == null
                ? new TensorException(TensorException.Code.PEER, "rank " + rank + ", " + what + " does not end")
                : again(cause);
    }

    /** Rows of a matrix, elements of a vector. */
    static int rows(Tensor x) {
        return x.dimensions() == 1 ? x.columns() : x.rows();
    }

    /** Row length of a matrix; 0 of a vector, whose elements count as rows. */
    static int columns(Tensor x) {
        return x.dimensions() == 1 ? 0 : x.columns();
    }
}
