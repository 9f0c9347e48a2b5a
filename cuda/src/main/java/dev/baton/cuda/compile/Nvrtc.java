package dev.baton.cuda.compile;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The run-time compiler (NVRTC User Guide): CUDA C++ to machine code for one architecture. Needs no GPU. */
public final class Nvrtc {
    private static final int COMPILATION = 6;

    private static final NativeLibrary LIBRARY = NativeLibrary.open(
            List.of("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"),
            "install NVIDIA's run-time compiler (a CUDA 12 or 13 toolkit, or the package nvidia-cuda-nvrtc) and put its"
                    + " folder on LD_LIBRARY_PATH or set CUDA_HOME, or use --device cpu");

    private static final MethodHandle VERSION = LIBRARY.function("nvrtcVersion", ADDRESS, ADDRESS);
    private static final MethodHandle CREATE =
            LIBRARY.function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
    private static final MethodHandle DESTROY = LIBRARY.function("nvrtcDestroyProgram", ADDRESS);
    private static final MethodHandle COMPILE = LIBRARY.function("nvrtcCompileProgram", JAVA_LONG, JAVA_INT, ADDRESS);
    private static final MethodHandle CODE_SIZE = LIBRARY.function("nvrtcGetCUBINSize", JAVA_LONG, ADDRESS);
    private static final MethodHandle CODE = LIBRARY.function("nvrtcGetCUBIN", JAVA_LONG, ADDRESS);
    private static final MethodHandle LOG_SIZE = LIBRARY.function("nvrtcGetProgramLogSize", JAVA_LONG, ADDRESS);
    private static final MethodHandle LOG = LIBRARY.function("nvrtcGetProgramLog", JAVA_LONG, ADDRESS);

    /** Behind the compiler's own words. */
    private static final String REMEDY =
            "take NVRTC of CUDA 12.3 or newer (older ones do not know this GPU's instructions;"
                    + " the one found first on LD_LIBRARY_PATH or under CUDA_HOME is used), or compile on another machine of the"
                    + " same GPU and copy its BATON_KERNEL_CACHE; --device cpu works without";

    private Nvrtc() {}

    private static String remedy() {
        String own = System.getenv(KernelCache.OPTIONS_VARIABLE);
        return own == null ? REMEDY : "see " + KernelCache.OPTIONS_VARIABLE + "=" + own + ", or " + REMEDY;
    }

    private static void run(String what, NativeLibrary.Call call) {
        int code = NativeLibrary.code(what, call);
        if (code != 0) {
            throw new TensorException(TensorException.Code.FAULT, what + ": NVRTC returned " + code);
        }
    }

    /** As {@code 13.0}. */
    public static String version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(JAVA_INT);
            MemorySegment minor = arena.allocate(JAVA_INT);
            run("nvrtcVersion", () -> (int) VERSION.invokeExact(major, minor));
            return major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
        }
    }

    /**
     * @param source CUDA C++; it can include nothing
     * @param name of the source, for messages
     * @throws TensorException FAULT with the compiler's messages when the source does not compile
     */
    public static byte[] compile(String source, String name, List<String> options) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            MemorySegment text = arena.allocateFrom(source);
            MemorySegment title = arena.allocateFrom(name);
            run(name, () -> (int) CREATE.invokeExact(pointer, text, title, 0, MemorySegment.NULL, MemorySegment.NULL));
            try {
                long program = pointer.get(JAVA_LONG, 0);
                MemorySegment arguments = arena.allocate(ADDRESS, options.size());
                for (int i = 0; i < options.size(); i++) {
                    arguments.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
                }
                int result =
                        NativeLibrary.code(name, () -> (int) COMPILE.invokeExact(program, options.size(), arguments));
                if (result != 0) {
                    throw new TensorException(
                            TensorException.Code.FAULT,
                            (result == COMPILATION
                                            ? name + " does not compile:\n"
                                            : name + ": NVRTC returned " + result + "\n")
                                    + new String(bytes(arena, program, LOG_SIZE, LOG), StandardCharsets.UTF_8).strip()
                                    + "\n" + remedy());
                }
                return bytes(arena, program, CODE_SIZE, CODE);
            } finally {
                run(name, () -> (int) DESTROY.invokeExact(pointer));
            }
        }
    }

    private static byte[] bytes(Arena arena, long program, MethodHandle size, MethodHandle content) {
        MemorySegment count = arena.allocate(JAVA_LONG);
        run("size of the result", () -> (int) size.invokeExact(program, count));
        MemorySegment result = arena.allocate(Math.max(1, count.get(JAVA_LONG, 0)));
        run("the result", () -> (int) content.invokeExact(program, result));
        return result.toArray(ValueLayout.JAVA_BYTE);
    }
}
