package dev.baton.cuda.nccl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.model.DType;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;

/** NVIDIA's collectives library (NCCL User Guide, API). Communicators, streams and device addresses travel as longs. */
final class Nccl {
    static final int SUM = 0;

    /** Size of ncclUniqueId, which is passed by value. */
    static final int ID_BYTES = 128;

    private static final StructLayout ID = MemoryLayout.structLayout(MemoryLayout.sequenceLayout(ID_BYTES, JAVA_BYTE));

    /**
     * What is set where the environment says nothing. Multicast over NVLink: a program that dies while it uses it can leave
     * GPUs that others share out of service, and between two GPUs it gains nothing.
     */
    private static final Map<String, String> ENVIRONMENT = Map.of("NCCL_NVLS_ENABLE", "0");

    private static final NativeLibrary LIBRARY = open();

    static final MethodHandle VERSION = LIBRARY.function("ncclGetVersion", ADDRESS);
    private static final MethodHandle UNIQUE_ID = LIBRARY.function("ncclGetUniqueId", ADDRESS);
    private static final MethodHandle INIT = LIBRARY.function("ncclCommInitRank", ADDRESS, JAVA_INT, ID, JAVA_INT);
    static final MethodHandle DESTROY = LIBRARY.function("ncclCommDestroy", JAVA_LONG);
    static final MethodHandle ABORT = LIBRARY.function("ncclCommAbort", JAVA_LONG);
    static final MethodHandle ALL_REDUCE = LIBRARY.function(
            "ncclAllReduce", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle ALL_GATHER =
            LIBRARY.function("ncclAllGather", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle REDUCE_SCATTER = LIBRARY.function(
            "ncclReduceScatter", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle BROADCAST = LIBRARY.function(
            "ncclBroadcast", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle SEND =
            LIBRARY.function("ncclSend", JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle RECEIVE =
            LIBRARY.function("ncclRecv", JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
    static final MethodHandle GROUP_START = LIBRARY.function("ncclGroupStart");
    static final MethodHandle GROUP_END = LIBRARY.function("ncclGroupEnd");

    private Nccl() {}

    private static NativeLibrary open() {
        ENVIRONMENT.forEach(Nccl::setUnlessSet);
        return NativeLibrary.open(
                List.of("libnccl.so.2"),
                "several GPUs for one model need NVIDIA's NCCL: install it (the package libnccl2, or nvidia-nccl-cu12 or"
                        + " -cu13) and put its folder on LD_LIBRARY_PATH, or use one GPU (--tp-size 1)");
    }

    /** The library reads the environment of the process, which Java cannot change by itself. */
    private static void setUnlessSet(String name, String value) {
        Linker linker = Linker.nativeLinker();
        MethodHandle setenv = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("setenv"),
                FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            int overwrite = 0;
            int ignored = (int) setenv.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), overwrite);
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "setenv " + name + ": " + e, e);
        }
    }

    /**
     * @throws TensorException FAULT or PEER when the library refuses
     */
    static void run(String what, NativeLibrary.Call call) {
        int code = NativeLibrary.code(what, call);
        if (code != 0) {
            throw failure(what, code);
        }
    }

    /** What a result code means (nccl.h). */
    static TensorException failure(String what, int code) {
        String meaning = switch (code) {
            case 1 -> "a call of CUDA failed";
            case 2 -> "a call of the system failed";
            case 3 -> "internal error";
            case 4 -> "invalid argument";
            case 5 -> "invalid usage";
            case 6 -> "another rank failed or left";
            default -> "error " + code;
        };
        return new TensorException(
                code == 6 ? TensorException.Code.PEER : TensorException.Code.FAULT,
                what + ": NCCL says: " + meaning + "; NCCL_DEBUG=WARN in the environment makes it say more");
    }

    /** As {@code 2.28.3}. */
    static String version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            run("ncclGetVersion", () -> (int) VERSION.invokeExact(number));
            int version = number.get(JAVA_INT, 0);
            return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
        }
    }

    /** What all ranks of a new group must show. */
    static byte[] uniqueId() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment id = arena.allocate(ID);
            run("ncclGetUniqueId", () -> (int) UNIQUE_ID.invokeExact(id));
            return id.toArray(JAVA_BYTE);
        }
    }

    /** Joins a group for the calling thread's GPU; returns when all its ranks have joined. */
    static long join(byte[] id, int rank, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(ID);
            MemorySegment.copy(id, 0, copy, JAVA_BYTE, 0, ID_BYTES);
            MemorySegment result = arena.allocate(JAVA_LONG);
            run("ncclCommInitRank", () -> (int) INIT.invokeExact(result, size, copy, rank));
            return result.get(JAVA_LONG, 0);
        }
    }

    /** How the library names an element type. */
    static int type(String operation, DType dtype) {
        return switch (dtype) {
            case F32 -> 7;
            case BF16 -> 9;
            case F64, F16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, operation + ": sums F32 or BF16, not " + dtype);
        };
    }

    /** Bytes as they are. */
    static final int BYTES = 1;
}
