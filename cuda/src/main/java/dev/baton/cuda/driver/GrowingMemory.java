package dev.baton.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Device memory at one range of addresses that is reserved as a whole and backed from its beginning as far as it is used (CUDA
 * Driver API reference, virtual memory management). What is taken one after the other lies so. Given back as a whole.
 */
public final class GrowingMemory implements AutoCloseable {
    private static final int TYPE_PINNED = 1;
    private static final int LOCATION_DEVICE = 1;
    private static final int READ_AND_WRITE = 3;
    private static final int RECOMMENDED = 1;
    /** CUmemAllocationProp: type, handle types, location (kind and number), eight bytes for Windows, eight of flags. */
    private static final long PROPERTIES_BYTES = 32;

    private final int device;
    private final long reservedBytes;
    private final long address;
    private final long granularity;
    private long backedBytes;

    GrowingMemory(int device, long mostBytes) {
        this.device = device;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment properties = properties(arena);
            this.granularity = Cuda.longOf("cuMemGetAllocationGranularity", result ->
                    (int) Calls.GRANULARITY.invokeExact(result, properties, RECOMMENDED));
        }
        this.reservedBytes = rounded(mostBytes);
        this.address = Cuda.longOf("cuMemAddressReserve of " + reservedBytes + " bytes", result ->
                (int) Calls.RESERVE.invokeExact(result, reservedBytes, 0L, 0L, 0L));
    }

    private MemorySegment properties(Arena arena) {
        MemorySegment properties = arena.allocate(PROPERTIES_BYTES, 8);
        properties.set(JAVA_INT, 0, TYPE_PINNED);
        properties.set(JAVA_INT, 8, LOCATION_DEVICE);
        properties.set(JAVA_INT, 12, device);
        return properties;
    }

    /** Bytes of whole units, in which memory is given. */
    public long rounded(long bytes) {
        return (bytes + granularity - 1) / granularity * granularity;
    }

    /** Where it begins. */
    public long address() {
        return address;
    }

    /** Bytes from the beginning that can be used. */
    public long backedBytes() {
        return backedBytes;
    }

    /**
     * Backs more bytes, rounded up to whole units.
     *
     * @throws dev.baton.tensor.TensorException OUT_OF_MEMORY; everything is then as before
     */
    public void grow(long bytes) {
        long more = rounded(bytes);
        if (more > reservedBytes - backedBytes) {
            throw new IllegalArgumentException(
                    backedBytes + " and " + more + " bytes are more than the " + reservedBytes + " reserved");
        }
        long at = address + backedBytes;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment properties = properties(arena);
            long handle = Cuda.longOf("cuMemCreate of " + more + " bytes", result ->
                    (int) Calls.CREATE.invokeExact(result, more, properties, 0L));
            try {
                Cuda.run("cuMemMap", () -> (int) Calls.MAP.invokeExact(at, more, 0L, handle, 0L));
            } finally {
                // The mapping keeps the memory.
                Cuda.run("cuMemRelease", () -> (int) Calls.RELEASE.invokeExact(handle));
            }
            backedBytes += more;
            MemorySegment access = arena.allocate(12, 8);
            access.set(JAVA_INT, 0, LOCATION_DEVICE);
            access.set(JAVA_INT, 4, device);
            access.set(JAVA_INT, 8, READ_AND_WRITE);
            Cuda.run("cuMemSetAccess", () -> (int) Calls.SET_ACCESS.invokeExact(at, more, access, 1L));
        }
    }

    /** When nothing uses it any more. */
    @Override
    public void close() {
        if (backedBytes > 0) {
            Cuda.run("cuMemUnmap", () -> (int) Calls.UNMAP.invokeExact(address, backedBytes));
        }
        Cuda.run("cuMemAddressFree", () -> (int) Calls.ADDRESS_FREE.invokeExact(address, reservedBytes));
    }
}
