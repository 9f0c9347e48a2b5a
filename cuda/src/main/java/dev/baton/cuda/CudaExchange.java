package dev.baton.cuda;

import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.PeerMemory;
import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.PageMover;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * A GPU's memory for transfers. A mark is a number that the rank's stream writes into a word of page-locked memory when it
 * comes to it, so that any thread can look without a call of the driver and nothing has to be given back.
 */
final class CudaExchange implements DeviceExchange {
    private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle();

    private final Gpu gpu;
    private final MemorySegment passed;
    private long marks;
    private boolean closed;

    /** On the rank's thread. */
    CudaExchange(Gpu gpu) {
        this.gpu = gpu;
        this.passed = gpu.allocateHost(Long.BYTES);
        passed.set(ValueLayout.JAVA_LONG, 0, NOTHING);
    }

    @Override
    public long mark() {
        gpu.write(passed, ++marks);
        return marks;
    }

    @Override
    public synchronized boolean hasPassed(long mark) {
        if (closed) {
            throw new TensorException(TensorException.Code.FAULT, "the GPU has been closed");
        }
        return (long) WORD.getAcquire(passed, 0L) >= mark;
    }

    @Override
    public SharedDeviceMemory share(Tensor allocation) {
        long address = allocation.memory().address();
        long bytes = allocation.memory().byteSize();
        if (bytes < PeerMemory.BLOCK_BYTES) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    allocation + " is too small to be shared: the driver shares blocks of " + PeerMemory.BLOCK_BYTES
                            + " bytes");
        }
        int ordinal = gpu.info().ordinal();
        return new SharedDeviceMemory(
                SharedDeviceMemory.THIS_PROCESS,
                PeerMemory.universalId(ordinal),
                ordinal,
                address,
                bytes,
                PeerMemory.export(address));
    }

    @Override
    public PageMover mover() {
        return new CudaPageMover(gpu.info().ordinal());
    }

    /** On the rank's thread, when its stream has ended. */
    synchronized void close() {
        if (!closed) {
            closed = true;
            gpu.freeHost(passed);
        }
    }
}
