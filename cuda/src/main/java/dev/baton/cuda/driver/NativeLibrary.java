package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A shared library of NVIDIA's, found by name, and its functions. Nearly all that Baton calls return an int code, so a
 * function is described by its arguments alone.
 */
public final class NativeLibrary {
    private final String name;
    private final SymbolLookup symbols;

    private NativeLibrary(String name, SymbolLookup symbols) {
        this.name = name;
        this.symbols = symbols;
    }

    /**
     * Opens the first of these names that the loader finds, on its own path or under {@code CUDA_HOME}.
     *
     * @param remedy what to do when there is none
     * @throws TensorException UNAVAILABLE when there is none
     */
    public static NativeLibrary open(List<String> names, String remedy) {
        for (String name : names) {
            for (String candidate : candidates(name)) {
                Optional<SymbolLookup> symbols = load(candidate);
                if (symbols.isPresent()) {
                    return new NativeLibrary(name, symbols.get());
                }
            }
        }
        throw new TensorException(
                TensorException.Code.UNAVAILABLE, "none of " + String.join(", ", names) + " can be loaded: " + remedy);
    }

    /** What to hand to the loader: the bare name, then the places where a CUDA toolkit keeps its libraries. */
    private static List<String> candidates(String name) {
        List<String> all = new ArrayList<>(List.of(name));
        String home = System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda");
        for (String folder : List.of("lib64", "lib", "targets/x86_64-linux/lib", "extras/CUPTI/lib64")) {
            Path file = Path.of(home, folder, name);
            if (Files.exists(file)) {
                all.add(file.toString());
            }
        }
        return all;
    }

    private static Optional<SymbolLookup> load(String candidate) {
        try {
            return Optional.of(
                    candidate.startsWith("/")
                            ? SymbolLookup.libraryLookup(Path.of(candidate), Arena.global())
                            : SymbolLookup.libraryLookup(candidate, Arena.global()));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** A call as its caller writes it; exact types are the caller's business. */
    @FunctionalInterface
    public interface Call {
        int run() throws Throwable;
    }

    /**
     * Makes a call.
     *
     * @param what is called, for the message
     * @return the library's code
     * @throws TensorException FAULT when the call itself cannot be made
     */
    public static int code(String what, Call call) {
        try {
            return call.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, what + ": " + e, e);
        }
    }

    /**
     * A function that returns an int.
     *
     * @throws TensorException UNAVAILABLE when this version of the library has none of that name
     */
    public MethodHandle function(String function, MemoryLayout... arguments) {
        return handle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments));
    }

    /**
     * A function that returns nothing.
     *
     * @throws TensorException UNAVAILABLE when this version of the library has none of that name
     */
    public MethodHandle procedure(String function, MemoryLayout... arguments) {
        return handle(function, FunctionDescriptor.ofVoid(arguments));
    }

    private MethodHandle handle(String function, FunctionDescriptor descriptor) {
        return Linker.nativeLinker()
                .downcallHandle(
                        symbols.find(function)
                                .orElseThrow(() -> new TensorException(
                                        TensorException.Code.UNAVAILABLE,
                                        name + " has no function " + function
                                                + ": it is too old; CUDA 12 or newer is needed")),
                        descriptor);
    }
}
