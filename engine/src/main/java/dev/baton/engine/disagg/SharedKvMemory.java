package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.KvRegion.DevicePool;
import dev.baton.engine.disagg.transfer.SharedMemory;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.KvMemory;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.SharedDeviceMemory;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * KV caches in memory that a prefill server on this host can write: a CPU's in shared memory, a GPU's in one allocation
 * that the driver shares.
 */
final class SharedKvMemory implements KvMemory, AutoCloseable {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");

    private static final long ALIGNMENT_BYTES = 4096;
    /** A device shares whole blocks of this size. */
    private static final long BLOCK_BYTES = 2 << 20;

    private final boolean written;
    private final TransferBackend backend;
    private final List<SharedMemory> memories = new CopyOnWriteArrayList<>();
    private final List<OnDevice> onDevice = new CopyOnWriteArrayList<>();

    /** A rank's whole cache. */
    private record OnDevice(MemorySegment memory, @Nullable SharedDeviceMemory shared) {}

    /**
     * @param written a prefill server writes them; false to leave every cache where the device puts it
     * @param backend how pages travel
     */
    SharedKvMemory(boolean written, TransferBackend backend) {
        this.written = written;
        this.backend = backend;
    }

    @Override
    public List<Tensor> allocate(Device device, DType dtype, long slots, int[] widths) {
        boolean direct = written && (backend == TransferBackend.SHM || backend == TransferBackend.AUTO);
        DeviceExchange exchange = device.exchange();
        if (direct && exchange != null) {
            return onDevice(device, exchange, dtype, slots, widths);
        }
        if (!direct
                || !device.info().kind().equals("cpu")
                || backend == TransferBackend.AUTO && !SharedMemory.isSupported()) {
            return KvMemory.DEVICE.allocate(device, dtype, slots, widths);
        }
        SharedMemory memory = SharedMemory.create(bytes(dtype, slots, widths));
        memories.add(memory);
        return tensors(memory.memory(), dtype, slots, widths);
    }

    private List<Tensor> onDevice(Device device, DeviceExchange exchange, DType dtype, long slots, int[] widths) {
        long bytes = bytes(dtype, slots, widths);
        Tensor whole = device.allocate(DType.U8, (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
        // Zeroes must not come after what another process writes.
        device.synchronize();
        SharedDeviceMemory shared = null;
        try {
            shared = exchange.share(whole);
        } catch (TensorException e) {
            if (backend == TransferBackend.SHM) {
                throw e;
            }
            LOG.log(Level.INFO, "KV pages will come over TCP: {0}", e.getMessage());
        }
        onDevice.add(new OnDevice(whole.memory(), shared));
        return tensors(whole.memory(), dtype, slots, widths);
    }

    private static long bytes(DType dtype, long slots, int[] widths) {
        long bytes = 0;
        for (int width : widths) {
            bytes += aligned(slots * width * dtype.bytes());
        }
        return bytes;
    }

    private static List<Tensor> tensors(MemorySegment memory, DType dtype, long slots, int[] widths) {
        List<Tensor> tensors = new ArrayList<>();
        long offset = 0;
        for (int width : widths) {
            long size = slots * width * dtype.bytes();
            tensors.add(Tensor.dense(memory.asSlice(offset, size), dtype, slots, width));
            offset += aligned(size);
        }
        return tensors;
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    }

    /** The shared memory of the host that the buffer lies in; null when it lies in none. */
    @Nullable
    SharedMemory holding(MemorySegment buffer) {
        for (SharedMemory memory : memories) {
            if (isWithin(buffer, memory.memory())) {
                return memory;
            }
        }
        return null;
    }

    /** How transfers reach a buffer of a device; null where the host does by itself. */
    @Nullable
    DevicePool pool(Device device, MemorySegment buffer) {
        DeviceExchange exchange = device.exchange();
        if (exchange == null) {
            return null;
        }
        for (OnDevice one : onDevice) {
            if (isWithin(buffer, one.memory)) {
                return new DevicePool(exchange, one.shared);
            }
        }
        return new DevicePool(exchange, null);
    }

    private static boolean isWithin(MemorySegment buffer, MemorySegment memory) {
        long offset = buffer.address() - memory.address();
        return offset >= 0 && offset < memory.byteSize();
    }

    /** Only after every rank that computes with it has ended. */
    @Override
    public void close() {
        memories.forEach(SharedMemory::close);
    }
}
