package dev.baton.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Loaded machine code. */
public final class KernelModule implements AutoCloseable {
    private final long module;

    private KernelModule(long module) {
        this.module = module;
    }

    static KernelModule load(byte[] code) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment image = arena.allocate(code.length + 1L, 16);
            MemorySegment.copy(code, 0, image, ValueLayout.JAVA_BYTE, 0, code.length);
            return new KernelModule(
                    Cuda.longOf("cuModuleLoadData", result -> (int) Calls.MODULE_LOAD.invokeExact(result, image)));
        }
    }

    /**
     * @param threads threads of a block in every launch
     * @param sharedBytes dynamic shared memory of a block at most; 0 when the kernel uses none
     */
    public Kernel kernel(String name, int threads, int sharedBytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name);
            long function = Cuda.longOf(
                    "kernel " + name, result -> (int) Calls.MODULE_FUNCTION.invokeExact(result, module, text));
            return new Kernel(name, function, threads, sharedBytes);
        }
    }

    @Override
    public void close() {
        Cuda.run("cuModuleUnload", () -> (int) Calls.MODULE_UNLOAD.invokeExact(module));
    }
}
