package dev.baton.tensor.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicBoolean;

/** Binds threads to cores with Linux's {@code sched_setaffinity}. Where that cannot be done, work goes on without. */
final class Affinity {
    private static final System.Logger LOG = System.getLogger(Affinity.class.getName());
    private static final AtomicBoolean SAID = new AtomicBoolean();
    /** Bytes of the C library's cpu_set_t. */
    private static final int SET_BYTES = 128;

    private Affinity() {}

    /** Binds the calling thread to one core; false, and one log line a process, when the system refuses. */
    static boolean bindCurrentThread(int core) {
        if (core < 0 || core >= SET_BYTES * 8) {
            return refused(core, "no such core");
        }
        try (Arena arena = Arena.ofConfined()) {
            MethodHandle setAffinity = Linker.nativeLinker()
                    .downcallHandle(
                            Linker.nativeLinker().defaultLookup().findOrThrow("sched_setaffinity"),
                            FunctionDescriptor.of(
                                    ValueLayout.JAVA_INT,
                                    ValueLayout.JAVA_INT,
                                    ValueLayout.JAVA_LONG,
                                    ValueLayout.ADDRESS));
            MemorySegment set = arena.allocate(SET_BYTES, 8);
            set.set(ValueLayout.JAVA_LONG, core / 64 * 8L, 1L << core % 64);
            int result = (int) setAffinity.invokeExact(0, (long) SET_BYTES, set);
            return result == 0 || refused(core, "sched_setaffinity returned " + result);
        } catch (Throwable t) {
            return refused(core, t.toString());
        }
    }

    private static boolean refused(int core, String why) {
        if (SAID.compareAndSet(false, true)) {
            LOG.log(System.Logger.Level.WARNING, "threads are not bound to cores (core {0}: {1})", core, why);
        }
        return false;
    }
}
