package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;

/**
 * Device memory across processes and across the GPUs of one host: the driver's inter-process handles, and peer access
 * (CUDA Programming Guide). In the context of the calling thread.
 */
public final class PeerMemory {
    /** A handle is of a whole allocation; smaller ones share blocks of this size with others. */
    public static final long BLOCK_BYTES = 2 << 20;

    /** Size of CUipcMemHandle. */
    static final int HANDLE_BYTES = 64;

    private static final int LAZY_PEER_ACCESS = 1;
    private static final int ALREADY_ENABLED = 704;

    private PeerMemory() {}

    /** The card's universal id, in hexadecimal digits: the same in all processes. */
    public static String universalId(int ordinal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment id = arena.allocate(16);
            int device = Cuda.intOf("cuDeviceGet", result -> (int) Calls.DEVICE_GET.invokeExact(result, ordinal));
            Cuda.run("cuDeviceGetUuid", () -> (int) Calls.DEVICE_UUID.invokeExact(id, device));
            return HexFormat.of().formatHex(id.toArray(ValueLayout.JAVA_BYTE));
        }
    }

    /**
     * What another process opens.
     *
     * @param address of a whole allocation of at least {@link #BLOCK_BYTES}
     */
    public static byte[] export(long address) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(Calls.IPC_HANDLE);
            Cuda.run("cuIpcGetMemHandle", () -> (int) Calls.IPC_EXPORT.invokeExact(handle, address));
            return handle.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /**
     * Maps another process's allocation, on this thread's GPU or on one that it reaches.
     *
     * @return its address here, until {@link #close}
     * @throws TensorException UNAVAILABLE with the driver's words when it cannot be mapped
     */
    public static long open(byte[] handle) {
        if (handle.length != HANDLE_BYTES) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    "a handle of device memory has " + HANDLE_BYTES + " bytes, not " + handle.length);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Calls.IPC_HANDLE);
            MemorySegment.copy(handle, 0, copy, ValueLayout.JAVA_BYTE, 0, HANDLE_BYTES);
            return Cuda.longOf(
                    "cuIpcOpenMemHandle", result -> (int) Calls.IPC_OPEN.invokeExact(result, copy, LAZY_PEER_ACCESS));
        } catch (TensorException e) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    e.getMessage() + "; both processes need the same host and GPUs that reach each other",
                    e);
        }
    }

    /** Gives a mapping of {@link #open} back. */
    public static void close(long address) {
        Cuda.run("cuIpcCloseMemHandle", () -> (int) Calls.IPC_CLOSE.invokeExact(address));
    }

    /**
     * Copies between memories of this process's GPUs and waits for it, on a thread that has one of them open. Neither
     * rank's stream is waited for.
     */
    public static void copy(long source, long target, long bytes) {
        long ownStream = 0;
        Cuda.run("copy between GPUs", () -> (int) Calls.BETWEEN.invokeExact(target, source, bytes, ownStream));
        Cuda.run("cuStreamSynchronize", () -> (int) Calls.STREAM_SYNCHRONIZE.invokeExact(ownStream));
    }

    /**
     * Lets kernels of the calling thread's GPU read and write all memory of another GPU of this process.
     *
     * @throws TensorException UNAVAILABLE when the two do not reach each other
     */
    public static void reach(int ordinal) {
        int device = Cuda.intOf("cuDeviceGet", result -> (int) Calls.DEVICE_GET.invokeExact(result, ordinal));
        // Not given back: whoever shares memory of that GPU has its context open as well.
        long context = Cuda.longOf(
                "cuDevicePrimaryCtxRetain", result -> (int) Calls.CONTEXT_RETAIN.invokeExact(result, device));
        int[] code = new int[1];
        Cuda.run("cuCtxEnablePeerAccess", () -> {
            code[0] = (int) Calls.PEER_ENABLE.invokeExact(context, 0);
            return 0;
        });
        if (code[0] != 0 && code[0] != ALREADY_ENABLED) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    Cuda.failure("GPU " + ordinal + " cannot be reached", code[0])
                            .getMessage());
        }
    }
}
