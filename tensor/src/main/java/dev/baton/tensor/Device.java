package dev.baton.tensor;

import dev.baton.model.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One rank's compute device: its memory and its operators. A device belongs to the thread of its rank: every call
 * comes from that thread. Operators are queued in order; {@link #synchronize} waits for all of them (a CPU device has
 * finished each operator when the call returns).
 */
public interface Device extends AutoCloseable {
    /** What the device is, for logs and {@code environment.json}. */
    DeviceInfo info();

    /**
     * F32 or BF16: the type of the activations that operators hand to each other on this device. The residual stream,
     * logits and gate scores are F32 everywhere.
     */
    default DType activationType() {
        return DType.F32;
    }

    /** The operators. */
    Ops ops();

    /** Its recorder; null where the host sees everything that the device does. */
    default @Nullable DeviceActivity activity() {
        return null;
    }

    /** Names the rank's steps for a tool that watches from outside; null where none is attached. */
    default @Nullable ToolRanges toolRanges() {
        return null;
    }

    /** Its memory for transfers beside the rank's work; null where the host reads and writes it directly. */
    default @Nullable DeviceExchange exchange() {
        return null;
    }

    /**
     * New zeroed memory, freed when the device is closed.
     *
     * @throws TensorException OUT_OF_MEMORY with the bytes asked for and left
     */
    Tensor allocate(DType dtype, long... shape);

    /**
     * Begins to prepare for {@link #place}, which works without as well: threads and buffers are then ready when the first
     * tensor comes.
     */
    default void beginPlacing() {}

    /**
     * Makes host bytes (a mapped weight file, say) usable by the operators: a view without a copy on a CPU, a copy on
     * a GPU. The copy may be under way when this returns: operators may use it after {@link #endPlacing}, and until then the
     * host memory must not change. It must outlive the device.
     *
     * @param name for errors
     * @throws TensorException OUT_OF_MEMORY; FAULT when a copy begun earlier failed, with that one's name
     */
    Tensor place(String name, Tensor host);

    /**
     * Waits until everything that was placed can be used, and gives back what is held for copies under way; more may be
     * placed later.
     *
     * @throws TensorException FAULT when a copy failed, with its name
     */
    default void endPlacing() {}

    /**
     * Layers of one input as one layer, whose output features are theirs, one after the other; null where the device
     * computes them as well apart. The given weights must not be used afterwards when there is a result.
     */
    default @Nullable Weight merge(List<Weight> weights) {
        return null;
    }

    /**
     * Copies between two tensors of this device, of one dtype and shape.
     *
     * @throws TensorException UNAVAILABLE on a device that cannot
     */
    default void copy(Tensor from, Tensor to) {
        throw new TensorException(
                TensorException.Code.UNAVAILABLE, info().kind() + " devices do not copy tensors of any type");
    }

    /** Copies host memory into a dense tensor. */
    void toDevice(MemorySegment host, Tensor target);

    /** Copies a dense tensor to host memory, after every operator queued before. */
    void toHost(Tensor source, MemorySegment host);

    /**
     * Host memory that copies to and from the device run fastest with. Lives as long as the device. A copy from it may
     * still be under way when {@link #toDevice} returns: it may be written again after {@link #synchronize} or {@link
     * #toHost}.
     */
    default MemorySegment hostBuffer(long bytes) {
        return Arena.ofAuto().allocate(bytes, 64);
    }

    /**
     * Whether the device works behind the host, so that the host can queue a step before it knows what the one before
     * gave: {@link #mark}, {@link Ops#beginStep}, {@link Ops#endStep} and {@link Ops#sample} work here, and operators
     * reach memory of {@link #hostBuffer}.
     */
    default boolean isAsynchronous() {
        return false;
    }

    /**
     * A new mark.
     *
     * @throws TensorException UNAVAILABLE on a device that is not asynchronous
     */
    default DeviceMark mark() {
        throw new TensorException(
                TensorException.Code.UNAVAILABLE, info().kind() + " devices have finished when a call returns");
    }

    /** Whether {@link #capture} works here. */
    default boolean capturesGraphs() {
        return false;
    }

    /**
     * Records the operators that {@code work} queues, without running them. They must have run once before with the same
     * tensors, so that nothing is allocated or prepared any more.
     *
     * @throws TensorException UNAVAILABLE on a device that cannot
     */
    default Graph capture(Runnable work) {
        throw new TensorException(TensorException.Code.UNAVAILABLE, info().kind() + " devices record no graphs");
    }

    /** Waits until every queued operator has finished. */
    void synchronize();

    @Override
    void close();
}
