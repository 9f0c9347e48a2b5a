package dev.baton.tensor.cpu;

import java.util.Locale;

/** Which implementation of the operators a CPU device uses. */
public enum CpuKernels {
    /** Vector API kernels, several threads. */
    VECTOR,
    /** Plain loops on the calling thread: the reference that the vector kernels are tested against. */
    SCALAR;

    /** System property that chooses the kernels where no option does: {@code vector} or {@code scalar}. */
    public static final String PROPERTY = "baton.cpu.kernels";

    /**
     * The kernels of a name, in any case.
     *
     * @throws IllegalArgumentException when the name is neither vector nor scalar
     */
    public static CpuKernels of(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "vector" -> VECTOR;
            case "scalar" -> SCALAR;
            default -> throw new IllegalArgumentException("cpu kernels are 'vector' or 'scalar', not '" + name + "'");
        };
    }

    /** What the system property asks for, vector when it is not set. */
    public static CpuKernels configured() {
        return of(System.getProperty(PROPERTY, "vector"));
    }
}
