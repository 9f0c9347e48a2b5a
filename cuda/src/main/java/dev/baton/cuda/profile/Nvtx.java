package dev.baton.cuda.profile;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.ToolRanges;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Ranges for Nsight Systems and its like by NVTX (NVTX C API reference, "Push/Pop Ranges"). A tool says that it is attached
 * by naming its library in {@code NVTX_INJECTION64_PATH} before the process starts; without one, nothing is loaded or called.
 */
public final class Nvtx implements ToolRanges {
    private static final Logger LOG = System.getLogger(Nvtx.class.getName());

    /** The variable in which the protocol expects the tool's library. */
    private static final String TOOL = "NVTX_INJECTION64_PATH";

    private final MethodHandle push;
    private final MethodHandle pop;

    private Nvtx(NativeLibrary library) {
        this.push = library.function("nvtxRangePushA", ADDRESS);
        this.pop = library.function("nvtxRangePop");
    }

    /** For the calling thread, which the tool learns the name of; null where no tool is attached or NVTX is missing. */
    public static @Nullable ToolRanges attached() {
        String tool = System.getenv(TOOL);
        if (tool == null || tool.isEmpty()) {
            return null;
        }
        try {
            NativeLibrary library = NativeLibrary.open(
                    List.of("libnvtx3interop.so.1", "libnvtx3interop.so", "libnvToolsExt.so.1", "libnvToolsExt.so"),
                    "install NVTX (a CUDA 12 or 13 toolkit, or the package nvidia-nvtx) and put its folder on"
                            + " LD_LIBRARY_PATH or set CUDA_HOME");
            Nvtx ranges = new Nvtx(library);
            nameThread(library, Thread.currentThread().getName());
            return ranges;
        } catch (TensorException e) {
            LOG.log(Level.WARNING, "{0} is attached but sees no ranges: {1}", tool, e.getMessage());
            return null;
        }
    }

    private static void nameThread(NativeLibrary library, String name) {
        Linker linker = Linker.nativeLinker();
        MethodHandle number = linker.defaultLookup()
                .find("gettid")
                .map(function -> linker.downcallHandle(function, FunctionDescriptor.of(JAVA_INT)))
                .orElse(null);
        if (number == null) {
            return;
        }
        MethodHandle naming = library.procedure("nvtxNameOsThreadA", JAVA_INT, ADDRESS);
        try (Arena arena = Arena.ofConfined()) {
            int thread = NativeLibrary.code("gettid", () -> (int) number.invokeExact());
            var text = arena.allocateFrom(name);
            NativeLibrary.code("nvtxNameOsThreadA", () -> {
                naming.invokeExact(thread, text);
                return 0;
            });
        }
    }

    @Override
    public void push(String name) {
        try (Arena arena = Arena.ofConfined()) {
            var text = arena.allocateFrom(name);
            // How deep it lies, which nobody needs.
            NativeLibrary.code("nvtxRangePushA", () -> (int) push.invokeExact(text));
        }
    }

    @Override
    public void pop() {
        NativeLibrary.code("nvtxRangePop", () -> (int) pop.invokeExact());
    }
}
