package dev.baton.engine.disagg.transfer;

import dev.baton.engine.EngineException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;

/**
 * Memory that another process of this host can map while its owner lives.
 *
 * <p>It is a Linux memory file (memfd_create(2)): it lies where /dev/shm lies but has no name, so nothing is left
 * behind when a process is killed, and the size limit of a container's /dev/shm does not apply. A peer opens it through
 * {@code /proc/<pid>/fd/<fd>}, which the kernel allows to the same user. The first page belongs to the handshake:
 *
 * <pre>
 * 0     i64  nonce of the owner
 * 8 + 8k i64  echo slot k: what the peer with slot k wrote, to prove that its mapping is this memory
 * </pre>
 */
public final class SharedMemory implements AutoCloseable {
    /** Bytes in front of {@link #memory}. */
    static final long HEADER_BYTES = 4096;

    /** Slots in which peers echo a number. */
    static final int ECHO_SLOTS = 511;

    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    private final Arena arena;
    private final MemorySegment whole;
    private final MemorySegment memory;
    private final int descriptor;
    private final String path;

    private SharedMemory(Arena arena, MemorySegment whole, int descriptor, String path) {
        this.arena = arena;
        this.whole = whole;
        this.memory = whole.asSlice(HEADER_BYTES);
        this.descriptor = descriptor;
        this.path = path;
    }

    /** Whether this system has memory files. */
    public static boolean isSupported() {
        return Files.isReadable(BOOT_ID)
                && Linker.nativeLinker().defaultLookup().find("memfd_create").isPresent();
    }

    /**
     * New zeroed memory. Pages are taken from the system when they are first written.
     *
     * @throws EngineException UNAVAILABLE when the system refuses
     */
    public static SharedMemory create(long bytes) {
        if (!isSupported()) {
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE,
                    "this system has no memory files (memfd_create): use --disaggregation-transfer-backend tcp");
        }
        long process = ProcessHandle.current().pid();
        int descriptor = Native.memoryFile("baton-kv-" + process);
        String path = "/proc/" + process + "/fd/" + descriptor;
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(Path.of(path), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment whole = channel.map(FileChannel.MapMode.READ_WRITE, 0, HEADER_BYTES + bytes, arena);
            whole.set(ValueLayout.JAVA_LONG, 0, new SecureRandom().nextLong());
            return new SharedMemory(arena, whole, descriptor, path);
        } catch (IOException | UnsupportedOperationException e) {
            arena.close();
            Native.close(descriptor);
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE, "cannot map " + bytes + " bytes of shared memory: " + e, e);
        }
    }

    /** Maps a peer's memory. The mapping outlives the peer's process. */
    static Mapping map(Descriptor peer) throws IOException {
        if (!hostId().equals(peer.hostId())) {
            throw new IOException("the peer runs on another host");
        }
        Arena arena = Arena.ofShared();
        try (FileChannel channel =
                FileChannel.open(Path.of(peer.path()), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            if (channel.size() < peer.bytes() + HEADER_BYTES) {
                throw new IOException(peer.path() + " has " + channel.size() + " bytes, the peer said "
                        + (peer.bytes() + HEADER_BYTES));
            }
            MemorySegment whole = channel.map(FileChannel.MapMode.READ_WRITE, 0, HEADER_BYTES + peer.bytes(), arena);
            if (whole.get(ValueLayout.JAVA_LONG, 0) != peer.nonce()) {
                throw new IOException(peer.path() + " is not the peer's memory: its nonce differs");
            }
            long echo = new SecureRandom().nextLong();
            whole.set(ValueLayout.JAVA_LONG, echoOffset(peer.echoSlot()), echo);
            return new Mapping(arena, whole.asSlice(HEADER_BYTES), echo);
        } catch (IOException | RuntimeException e) {
            arena.close();
            throw e instanceof IOException io ? io : new IOException(e.toString(), e);
        }
    }

    /** What this host is called until its next start. */
    static String hostId() throws IOException {
        return Files.readString(BOOT_ID).strip();
    }

    private static long echoOffset(int slot) {
        if (slot < 0 || slot >= ECHO_SLOTS) {
            throw new IllegalArgumentException("echo slot " + slot + " is not in [0, " + ECHO_SLOTS + ")");
        }
        return 8 + 8L * slot;
    }

    /** The memory without its header. */
    public MemorySegment memory() {
        return memory;
    }

    /** Where a slice of {@link #memory} begins, in bytes. */
    long offsetOf(MemorySegment slice) {
        long offset = slice.address() - memory.address();
        if (offset < 0 || offset + slice.byteSize() > memory.byteSize()) {
            throw new IllegalArgumentException("a buffer does not lie in the shared memory");
        }
        return offset;
    }

    /** How a peer finds it; the peer writes its echo in {@code echoSlot}. */
    Descriptor descriptor(int echoSlot) throws IOException {
        return new Descriptor(
                hostId(), path, memory.byteSize(), whole.get(ValueLayout.JAVA_LONG, 0), echoSlot % ECHO_SLOTS);
    }

    /** What the peer with this slot wrote. */
    long echo(int echoSlot) {
        return whole.get(ValueLayout.JAVA_LONG, echoOffset(echoSlot % ECHO_SLOTS));
    }

    /** Unmaps it here; peers that mapped it keep their mapping. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
            Native.close(descriptor);
        }
    }

    /**
     * @param hostId boot id of the owner's host
     * @param path where the owner's descriptor shows
     * @param bytes size without the header
     * @param nonce first number of the header
     * @param echoSlot where to write the echo
     */
    record Descriptor(String hostId, String path, long bytes, long nonce, int echoSlot) {}

    /**
     * @param memory the peer's memory without its header
     * @param echo what was written in the echo slot
     */
    record Mapping(Arena arena, MemorySegment memory, long echo) implements AutoCloseable {
        @Override
        public void close() {
            if (arena.scope().isAlive()) {
                arena.close();
            }
        }
    }

    /** Two C library calls. */
    private static final class Native {
        private static final int MFD_CLOEXEC = 1;
        private static final MethodHandle MEMFD_CREATE = handle(
                "memfd_create", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        private static final MethodHandle CLOSE =
                handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));

        private static MethodHandle handle(String name, FunctionDescriptor type) {
            Linker linker = Linker.nativeLinker();
            return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
        }

        static int memoryFile(String name) {
            try (Arena arena = Arena.ofConfined()) {
                int descriptor = (int) MEMFD_CREATE.invokeExact(arena.allocateFrom(name), MFD_CLOEXEC);
                if (descriptor < 0) {
                    throw new EngineException(EngineException.Code.UNAVAILABLE, "memfd_create was refused");
                }
                return descriptor;
            } catch (EngineException e) {
                throw e;
            } catch (Throwable e) {
                throw new EngineException(EngineException.Code.UNAVAILABLE, "memfd_create failed: " + e, e);
            }
        }

        static void close(int descriptor) {
            try {
                int ignored = (int) CLOSE.invokeExact(descriptor);
            } catch (Throwable e) {
                throw new EngineException(EngineException.Code.INTERNAL, "close failed: " + e, e);
            }
        }
    }
}
