package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.SharedMemory;
import dev.baton.engine.forward.KvMemory;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/** KV caches in shared memory, so that a prefill server on this host can write them. Only for CPU devices. */
final class SharedKvMemory implements KvMemory, AutoCloseable {
    private static final long ALIGNMENT_BYTES = 4096;

    private final boolean wanted;
    private final List<SharedMemory> memories = new CopyOnWriteArrayList<>();

    /** @param wanted false to leave every cache where the device puts it */
    SharedKvMemory(boolean wanted) {
        this.wanted = wanted;
    }

    @Override
    public List<Tensor> allocate(Device device, DType dtype, long slots, int[] widths) {
        if (!wanted || !device.info().kind().equals("cpu")) {
            return KvMemory.DEVICE.allocate(device, dtype, slots, widths);
        }
        long bytes = 0;
        for (int width : widths) {
            bytes += aligned(slots * width * dtype.bytes());
        }
        SharedMemory memory = SharedMemory.create(bytes);
        memories.add(memory);
        List<Tensor> tensors = new ArrayList<>();
        long offset = 0;
        for (int width : widths) {
            long size = slots * width * dtype.bytes();
            tensors.add(Tensor.dense(memory.memory().asSlice(offset, size), dtype, slots, width));
            offset += aligned(size);
        }
        return tensors;
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    }

    /** The shared memory that the buffer lies in; null when it lies in none. */
    @Nullable
    SharedMemory holding(MemorySegment buffer) {
        for (SharedMemory memory : memories) {
            long offset = buffer.address() - memory.memory().address();
            if (offset >= 0 && offset < memory.memory().byteSize()) {
                return memory;
            }
        }
        return null;
    }

    /** Only after every rank that computes with it has ended. */
    @Override
    public void close() {
        memories.forEach(SharedMemory::close);
    }
}
