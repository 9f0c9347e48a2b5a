package dev.baton.tensor.parallel;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Messages of a rank elsewhere to one of this node. All but {@link #post} runs on the connection's thread, which reads the
 * bytes into the posted buffers.
 */
final class IncomingLine extends NodeLine {
    private static final DType[] DTYPES = DType.values();

    /** Which tensor of the oldest receive comes next. */
    private int next;
    /** What has come of the oldest receive: rows of its first tensor, bytes of all. */
    private int rows;

    private long bytes;
    /** A tensor that came for a buffer whose rows lie apart, or for nobody any more. */
    private ByteBuffer aside = ByteBuffer.allocate(0);

    private @Nullable Tensor scattered;

    IncomingLine(int depth, AtomicReference<@Nullable TensorException> failure) {
        super(depth, failure);
    }

    synchronized void post(PostedTransfer receive) {
        add(receive);
    }

    /**
     * A tensor comes.
     *
     * @return memory for its elements
     * @throws TensorException SHAPE when it does not fit the posted buffer
     */
    synchronized ByteBuffer begin(Frame frame) {
        scattered = null;
        PostedTransfer receive = oldest();
        if (receive == null) {
            if (failure() == null) {
                throw new IllegalStateException("a message that nobody was ready for: " + frame);
            }
            return aside(frame.bytes());
        }
        Tensor buffer = receive.tensors().get(next);
        Tensor target = target(frame, buffer);
        if (next == 0) {
            receive.match(System.nanoTime());
            rows = frame.rows();
            bytes = 0;
        }
        bytes += frame.bytes();
        moves(true);
        if (target.dimensions() == 1 || target.isDense()) {
            return target.memory().asSlice(0, frame.bytes()).asByteBuffer();
        }
        scattered = target;
        return aside(frame.bytes());
    }

    private ByteBuffer aside(long size) {
        if (aside.capacity() < size) {
            aside = ByteBuffer.allocateDirect(Math.toIntExact(size));
        }
        return aside.clear();
    }

    /** The part of a buffer that a tensor fills. */
    private Tensor target(Frame frame, Tensor buffer) {
        DType dtype = DTYPES[frame.dtype()];
        long elements = (long) frame.rows() * (buffer.dimensions() == 1 ? 1 : buffer.columns());
        if (dtype != buffer.dtype()
                || frame.rows() > PostedTransfer.rows(buffer)
                || frame.columns() != PostedTransfer.columns(buffer)
                || elements * dtype.bytes() != frame.bytes()) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "tensor " + next + " of the message is " + dtype + "[" + frame.rows()
                            + (frame.columns() == 0 ? "" : ", " + frame.columns()) + "], its buffer " + buffer);
        }
        return buffer.rowRange(0, frame.rows());
    }

    /** The tensor is there. */
    synchronized void end() {
        PostedTransfer receive = oldest();
        if (receive == null) {
            return;
        }
        Tensor target = scattered;
        if (target != null) {
            Tensor dense = Tensor.dense(
                    MemorySegment.ofBuffer(aside.clear()), target.dtype(), target.rows(), target.columns());
            LocalCommunicator.copyRows(dense, target, 0);
        }
        if (++next == receive.tensors().size()) {
            next = 0;
            removeOldest();
            receive.end(rows, bytes, System.nanoTime());
        }
        moves(false);
    }

    /** The connection broke while the tensor came: the mesh is about to tell why. */
    synchronized void drop() {
        PostedTransfer receive = oldest();
        if (receive != null) {
            removeOldest();
            receive.fail(Objects.requireNonNullElseGet(
                    failure(), () -> new TensorException(TensorException.Code.PEER, "the connection broke")));
        }
        moves(false);
    }
}
