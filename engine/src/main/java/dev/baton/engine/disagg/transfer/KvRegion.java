package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.SharedDeviceMemory;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One rank's KV memory, as transfers see it.
 *
 * <p>Host memory must be readable (prefill) or writable (decode) from any thread; a device's memory carries addresses
 * alone and is read and written through its exchange. Either must outlive the endpoint that it is given to.
 *
 * @param layout its shape
 * @param buffers buffer i: [slots, tokenBytes(i)]; page p begins at slot {@code p * pageTokens}
 * @param shared the shared memory that all buffers lie in, so that a prefill server on the same host can write them
 *     directly; null when they do not
 * @param device the device whose memory the buffers are; null for host memory
 */
public record KvRegion(
        KvLayout layout,
        List<MemorySegment> buffers,
        @Nullable SharedMemory shared,
        @Nullable DevicePool device) {
    /**
     * Buffers on a device.
     *
     * @param shared the device memory that all of them lie in, so that a prefill server on the same host can write them
     *     directly; null when they are not shared
     */
    public record DevicePool(
            DeviceExchange exchange, @Nullable SharedDeviceMemory shared) {}

    /** Host memory. */
    public KvRegion(KvLayout layout, List<MemorySegment> buffers, @Nullable SharedMemory shared) {
        this(layout, buffers, shared, null);
    }

    public KvRegion {
        buffers = List.copyOf(buffers);
        if (buffers.size() != layout.buffers().size()) {
            throw new IllegalArgumentException(buffers.size() + " buffers given, the layout has "
                    + layout.buffers().size());
        }
        for (int i = 0; i < buffers.size(); i++) {
            if (!buffers.get(i).isNative()) {
                throw new IllegalArgumentException("buffer " + i + " is not native memory");
            }
            if (shared != null) {
                shared.offsetOf(buffers.get(i));
            }
        }
    }

    /** Whether another process on this host can write it. */
    boolean isShared() {
        return shared != null || device != null && device.shared() != null;
    }

    /** Marks what the rank has queued so far, see {@link DeviceExchange#mark}; on the rank's thread. */
    public long mark() {
        return device == null ? DeviceExchange.NOTHING : device.exchange().mark();
    }

    /** Where each buffer begins in {@link #shared} or in the shared device memory; empty when they lie in neither. */
    long[] offsets() {
        if (!isShared()) {
            return new long[0];
        }
        long[] offsets = new long[buffers.size()];
        SharedDeviceMemory onDevice = device == null ? null : device.shared();
        for (int i = 0; i < offsets.length; i++) {
            offsets[i] = shared != null
                    ? shared.offsetOf(buffers.get(i))
                    : buffers.get(i).address()
                            - Objects.requireNonNull(onDevice).address();
        }
        return offsets;
    }

    /** Pages that fit in every buffer: page numbers are less than this. */
    public int pages() {
        long pages = Integer.MAX_VALUE;
        for (int i = 0; i < buffers.size(); i++) {
            pages = Math.min(pages, buffers.get(i).byteSize() / layout.pageBytes(i));
        }
        return (int) pages;
    }

    /**
     * Zeroed shared memory for a cache of {@code slots} tokens: buffer after buffer, each on a 4 KiB boundary.
     *
     * @throws dev.baton.engine.EngineException UNAVAILABLE when this system has no shared memory that can be mapped by
     *     another process
     */
    public static KvRegion allocateShared(KvLayout layout, int slots) {
        long bytes = 0;
        for (int i = 0; i < layout.buffers().size(); i++) {
            bytes += aligned(layout.tokenBytes(i) * slots);
        }
        SharedMemory shared = SharedMemory.create(bytes);
        List<MemorySegment> buffers = new java.util.ArrayList<>();
        long offset = 0;
        for (int i = 0; i < layout.buffers().size(); i++) {
            long size = layout.tokenBytes(i) * slots;
            buffers.add(shared.memory().asSlice(offset, size));
            offset += aligned(size);
        }
        return new KvRegion(layout, buffers, shared);
    }

    private static long aligned(long bytes) {
        return (bytes + 4095) / 4096 * 4096;
    }
}
