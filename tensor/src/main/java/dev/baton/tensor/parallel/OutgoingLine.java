package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Messages of a rank of this node to one elsewhere. */
final class OutgoingLine extends NodeLine {
    /** Puts one tensor of a message on the wire. */
    @FunctionalInterface
    interface Wire {
        void put(Tensor tensor, ByteBuffer payload);
    }

    /** A receive that the other side has posted. */
    private record Ready(int buffers, long nanos) {}

    private final Wire wire;
    /** Lines whose turn it is, for the thread that writes. */
    private final Queue<Runnable> writes;

    private final ArrayDeque<Ready> ready = new ArrayDeque<>();
    private ByteBuffer packed = ByteBuffer.allocate(0);

    OutgoingLine(int depth, AtomicReference<@Nullable TensorException> failure, Queue<Runnable> writes, Wire wire) {
        super(depth, failure);
        this.writes = writes;
        this.wire = wire;
    }

    /**
     * Posts a send.
     *
     * @param here whether the caller may write it, when its turn has come
     * @return true when the caller must: {@link #write}
     */
    synchronized boolean post(PostedTransfer send, boolean here) {
        add(send);
        if (moves() || ready.isEmpty()) {
            return false;
        }
        moves(true);
        if (!here) {
            writes.add(this::write);
        }
        return here;
    }

    /** The other side has a buffer free. */
    synchronized void ready(int buffers) {
        ready.addLast(new Ready(buffers, System.nanoTime()));
        if (!moves() && oldest() != null) {
            moves(true);
            writes.add(this::write);
        }
    }

    /** Writes every message that the other side is ready for; {@link #moves} is set. */
    void write() {
        while (true) {
            PostedTransfer send;
            Ready receive;
            synchronized (this) {
                send = oldest();
                receive = ready.peekFirst();
                if (failure() != null || send == null || receive == null) {
                    moves(false);
                    return;
                }
                ready.removeFirst();
            }
            TensorException fault = null;
            long bytes = 0;
            try {
                bytes = put(send, receive);
            } catch (TensorException e) {
                fault = e;
            } catch (RuntimeException e) {
                fault = new TensorException(TensorException.Code.PEER, "a message could not be sent: " + e, e);
            }
            long now = System.nanoTime();
            synchronized (this) {
                removeOldest();
            }
            if (fault == null) {
                send.end(PostedTransfer.rows(send.tensors().getFirst()), bytes, now);
            } else {
                send.fail(fault);
            }
        }
    }

    private long put(PostedTransfer send, Ready receive) {
        send.match(receive.nanos);
        if (send.tensors().size() != receive.buffers) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "a message of " + send.tensors().size() + " tensors for " + receive.buffers + " buffers");
        }
        long bytes = 0;
        for (Tensor tensor : send.tensors()) {
            ByteBuffer payload = dense(tensor);
            bytes += payload.remaining();
            wire.put(tensor, payload);
        }
        return bytes;
    }

    /** A tensor's elements, dense: where they lie, or packed. */
    private ByteBuffer dense(Tensor x) {
        long bytes = x.elements() * x.dtype().bytes();
        if (bytes > Integer.MAX_VALUE - 64) {
            throw new TensorException(
                    TensorException.Code.SHAPE, x + " is too large to be sent to another node: " + bytes + " bytes");
        }
        if (x.dimensions() == 1 || x.isDense()) {
            return x.memory().asSlice(0, bytes).asByteBuffer();
        }
        if (packed.capacity() < bytes) {
            packed = ByteBuffer.allocateDirect((int) bytes);
        }
        packed.clear().limit((int) bytes);
        LocalCommunicator.copyRows(
                x, Tensor.dense(MemorySegment.ofBuffer(packed), x.dtype(), x.rows(), x.columns()), 0);
        return packed;
    }
}
