package dev.baton.tensor;

import dev.baton.model.DType;
import java.lang.foreign.MemorySegment;

/**
 * One rank's compute device: its memory and its operators. A device belongs to the thread of its rank: every call
 * comes from that thread. Operators are queued in order; {@link #synchronize} waits for all of them (a CPU device has
 * finished each operator when the call returns).
 */
public interface Device extends AutoCloseable {
    /** What the device is, for logs and {@code environment.json}. */
    DeviceInfo info();

    /** The operators. */
    Ops ops();

    /**
     * New zeroed memory, freed when the device is closed.
     *
     * @throws TensorException OUT_OF_MEMORY with the bytes asked for and left
     */
    Tensor allocate(DType dtype, long... shape);

    /**
     * Makes host bytes (a mapped weight file, say) usable by the operators: a view without a copy on a CPU, a copy on
     * a GPU. The host memory must outlive the device.
     */
    Tensor place(Tensor host);

    /** Copies host memory into a dense tensor. */
    void toDevice(MemorySegment host, Tensor target);

    /** Copies a dense tensor to host memory, after every operator queued before. */
    void toHost(Tensor source, MemorySegment host);

    /** Waits until every queued operator has finished. */
    void synchronize();

    @Override
    void close();
}
