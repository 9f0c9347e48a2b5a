package dev.baton.cuda.profile;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.tensor.TensorException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * CUPTI's Activity API (CUPTI documentation, "CUPTI Activity API"). It records for the whole process: GPUs that are recorded
 * at the same time share it. Records arrive in buffers that the library asks for and hands back when they are full or
 * flushed, possibly on a thread of its own.
 */
final class Cupti {
    private static final Logger LOG = System.getLogger(Cupti.class.getName());

    private static final NativeLibrary LIBRARY = NativeLibrary.open(
            List.of("libcupti.so.13", "libcupti.so.12", "libcupti.so"),
            "install CUPTI (a CUDA 12 or 13 toolkit, or the package nvidia-cuda-cupti) and put its folder on"
                    + " LD_LIBRARY_PATH or set CUDA_HOME");

    private static final MethodHandle REGISTER = LIBRARY.function("cuptiActivityRegisterCallbacks", ADDRESS, ADDRESS);
    private static final MethodHandle ENABLE = LIBRARY.function("cuptiActivityEnable", JAVA_INT);
    private static final MethodHandle DISABLE = LIBRARY.function("cuptiActivityDisable", JAVA_INT);
    private static final MethodHandle FLUSH = LIBRARY.function("cuptiActivityFlushAll", JAVA_INT);
    private static final MethodHandle NEXT =
            LIBRARY.function("cuptiActivityGetNextRecord", ADDRESS, JAVA_LONG, ADDRESS);
    private static final MethodHandle TIMESTAMP = LIBRARY.function("cuptiGetTimestamp", ADDRESS);
    private static final MethodHandle CALL_NAME = LIBRARY.function("cuptiGetCallbackName", JAVA_INT, JAVA_INT, ADDRESS);

    private static final int DOMAIN_DRIVER = 1;
    private static final int FLUSH_FORCED = 1;
    private static final long BUFFER_BYTES = 4L << 20;

    /** Buffers that the library holds, by address: each has an arena of its own, closed when it comes back. */
    private static final Map<Long, Arena> BUFFERS = new ConcurrentHashMap<>();

    private static final List<ActivityRecord> RECORDS = new ArrayList<>();
    private static final Map<Integer, String> CALL_NAMES = new ConcurrentHashMap<>();
    private static int users;
    private static boolean registered;

    private Cupti() {}

    private static void run(String what, NativeLibrary.Call call) {
        int code = NativeLibrary.code("CUPTI " + what, call);
        if (code != 0) {
            throw new TensorException(
                    TensorException.Code.FAULT,
                    "CUPTI " + what + " returned " + code + " (another profiler may be attached to this process)");
        }
    }

    /** Begins to record, for one more GPU. */
    static synchronized void begin() {
        if (!registered) {
            run("callbacks", () -> (int) REGISTER.invokeExact(upcall("requested", 3), upcall("completed", 5)));
            registered = true;
        }
        if (users++ == 0) {
            for (int kind : ActivityRecord.KINDS) {
                run("enable " + kind, () -> (int) ENABLE.invokeExact(kind));
            }
        }
    }

    /** Ends it for one GPU; all records so far that no one has taken. */
    static synchronized List<ActivityRecord> end(int device) {
        run("flush", () -> (int) FLUSH.invokeExact(FLUSH_FORCED));
        if (--users == 0) {
            for (int kind : ActivityRecord.KINDS) {
                run("disable " + kind, () -> (int) DISABLE.invokeExact(kind));
            }
        }
        synchronized (RECORDS) {
            List<ActivityRecord> taken = ActivityRecord.of(device, RECORDS);
            if (users == 0) {
                RECORDS.clear();
            } else {
                Set<ActivityRecord> own = Collections.newSetFromMap(new IdentityHashMap<>());
                own.addAll(taken);
                RECORDS.removeIf(own::contains);
            }
            return taken;
        }
    }

    /** Nanoseconds on CUPTI's clock. */
    static long timestamp() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(JAVA_LONG);
            run("timestamp", () -> (int) TIMESTAMP.invokeExact(result));
            return result.get(JAVA_LONG, 0);
        }
    }

    /** The driver's function of this number. */
    static String callName(int number) {
        return CALL_NAMES.computeIfAbsent(number, n -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment pointer = arena.allocate(ADDRESS);
                run("name of call " + n, () -> (int) CALL_NAME.invokeExact(DOMAIN_DRIVER, (int) n, pointer));
                return pointer.get(ADDRESS, 0).reinterpret(256).getString(0);
            } catch (TensorException e) {
                return "cuda call " + n;
            }
        });
    }

    private static MemorySegment upcall(String method, int arguments) {
        try {
            MethodType type = arguments == 3
                    ? MethodType.methodType(void.class, MemorySegment.class, MemorySegment.class, MemorySegment.class)
                    : MethodType.methodType(
                            void.class, long.class, int.class, MemorySegment.class, long.class, long.class);
            FunctionDescriptor descriptor = arguments == 3
                    ? FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, ADDRESS)
                    : FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
            MethodHandle handle = MethodHandles.lookup().findStatic(Cupti.class, method, type);
            return Linker.nativeLinker().upcallStub(handle, descriptor, Arena.global());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The library asks for a buffer. Nothing may be thrown into native code. */
    @SuppressWarnings("unused")
    private static void requested(MemorySegment buffer, MemorySegment size, MemorySegment mostRecords) {
        try {
            Arena arena = Arena.ofShared();
            MemorySegment memory = arena.allocate(BUFFER_BYTES, 8);
            BUFFERS.put(memory.address(), arena);
            buffer.reinterpret(8).set(JAVA_LONG, 0, memory.address());
            size.reinterpret(8).set(JAVA_LONG, 0, BUFFER_BYTES);
            mostRecords.reinterpret(8).set(JAVA_LONG, 0, 0L);
        } catch (Throwable e) {
            LOG.log(Level.WARNING, "no buffer for the GPU's records: " + e);
        }
    }

    /** The library hands a buffer back. */
    @SuppressWarnings("unused")
    private static void completed(long context, int stream, MemorySegment buffer, long size, long validBytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            pointer.set(JAVA_LONG, 0, 0L);
            List<ActivityRecord> found = new ArrayList<>();
            while (validBytes > 0 && (int) NEXT.invokeExact(buffer, validBytes, pointer) == 0) {
                ActivityRecord record =
                        ActivityRecord.read(pointer.get(ADDRESS, 0).reinterpret(ActivityRecord.MOST_BYTES));
                if (record != null) {
                    found.add(record);
                }
            }
            synchronized (RECORDS) {
                RECORDS.addAll(found);
            }
        } catch (Throwable e) {
            LOG.log(Level.WARNING, "records of the GPU are lost: " + e);
        } finally {
            Arena owner = BUFFERS.remove(buffer.address());
            if (owner != null) {
                owner.close();
            }
        }
    }
}
