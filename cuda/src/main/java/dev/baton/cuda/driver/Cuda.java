package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** How every call of the driver ends: its code becomes an exception that says what the driver said. */
final class Cuda {
    private static final int SUCCESS = 0;
    private static final int OUT_OF_MEMORY = 2;

    private Cuda() {}

    /** A call whose result is written behind a pointer. */
    @FunctionalInterface
    interface Query {
        int run(MemorySegment result) throws Throwable;
    }

    /**
     * @throws TensorException OUT_OF_MEMORY or FAULT when the driver refuses
     */
    static void run(String what, NativeLibrary.Call call) {
        int code = NativeLibrary.code(what, call);
        if (code != SUCCESS) {
            throw failure(what, code);
        }
    }

    static long longOf(String what, Query query) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
            run(what, () -> query.run(result));
            return result.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    static int intOf(String what, Query query) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ValueLayout.JAVA_INT);
            run(what, () -> query.run(result));
            return result.get(ValueLayout.JAVA_INT, 0);
        }
    }

    static TensorException failure(String what, int code) {
        return failure(what, code, text(Calls.ERROR_NAME, code), text(Calls.ERROR_STRING, code));
    }

    /**
     * @param name that the driver has for the error
     * @param words that it explains it with
     */
    static TensorException failure(String what, int code, String name, String words) {
        TensorException.Code kind =
                code == OUT_OF_MEMORY ? TensorException.Code.OUT_OF_MEMORY : TensorException.Code.FAULT;
        String remedy = Remedies.of(code);
        return new TensorException(
                kind, what + ": " + name + " (" + words + ")" + (remedy.isEmpty() ? "" : "; " + remedy));
    }

    private static String text(MethodHandle function, int code) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ValueLayout.ADDRESS);
            if ((int) function.invokeExact(code, pointer) != SUCCESS) {
                return "error " + code;
            }
            return pointer.get(ValueLayout.ADDRESS, 0).reinterpret(1024).getString(0);
        } catch (Throwable e) {
            return "error " + code;
        }
    }
}
