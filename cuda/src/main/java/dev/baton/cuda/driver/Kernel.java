package dev.baton.cuda.driver;

/** A function of a {@link KernelModule}, launched through {@link Launch}. */
public final class Kernel {
    private static final int ATTRIBUTE_DYNAMIC_SHARED = 8;
    /** A block gets this much without asking. */
    private static final int FREE_SHARED_BYTES = 48 << 10;

    private final String name;
    private final long function;
    private final int threads;

    Kernel(String name, long function, int threads, int sharedBytes) {
        this.name = name;
        this.function = function;
        this.threads = threads;
        if (sharedBytes > FREE_SHARED_BYTES) {
            Cuda.run("shared memory of " + name, () ->
                    (int) Calls.FUNCTION_ATTRIBUTE.invokeExact(function, ATTRIBUTE_DYNAMIC_SHARED, sharedBytes));
        }
    }

    public String name() {
        return name;
    }

    long function() {
        return function;
    }

    /** Threads of a block. */
    public int threads() {
        return threads;
    }
}
