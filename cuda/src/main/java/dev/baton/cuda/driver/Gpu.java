package dev.baton.cuda.driver;

import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A GPU's primary context and one stream of it. Belongs to the thread that opened it: every call comes from there.
 * Memory lives until it is freed or the process ends.
 */
public final class Gpu implements AutoCloseable {
    /** CUDA 12.0: the first driver whose graphs and architectures are those that Baton relies on. */
    private static final int OLDEST_DRIVER = 12_000;

    private static final int ATTRIBUTE_MULTIPROCESSORS = 16;
    private static final int ATTRIBUTE_MAJOR = 75;
    private static final int ATTRIBUTE_MINOR = 76;
    private static final int ATTRIBUTE_SHARED_OPT_IN = 97;
    private static final int ATTRIBUTE_VIRTUAL_MEMORY = 102;
    private static final int STREAM_NON_BLOCKING = 1;
    private static final int NOT_READY = 600;
    private static final int CAPTURE_THREAD_LOCAL = 1;

    private final GpuInfo info;
    private final int device;
    private final long context;
    private final long stream;
    private boolean closed;

    private Gpu(GpuInfo info, int device, long context, long stream) {
        this.info = info;
        this.device = device;
        this.context = context;
        this.stream = stream;
    }

    /**
     * Why no GPU can be used here; empty when one can.
     */
    public static String whyUnavailable() {
        try {
            return count() > 0 ? "" : "the driver sees no GPU";
        } catch (TensorException e) {
            return String.valueOf(e.getMessage());
        } catch (ExceptionInInitializerError e) {
            return String.valueOf(e.getCause() == null ? e : e.getCause().getMessage());
        } catch (NoClassDefFoundError e) {
            return "the NVIDIA driver could not be loaded";
        }
    }

    /**
     * GPUs that the driver shows.
     *
     * @throws TensorException UNAVAILABLE when the driver is too old
     */
    public static int count() {
        Cuda.run("cuInit", () -> (int) Calls.INIT.invokeExact(0));
        int version = Cuda.intOf("cuDriverGetVersion", result -> (int) Calls.DRIVER_VERSION.invokeExact(result));
        requireVersion(version);
        return Cuda.intOf("cuDeviceGetCount", result -> (int) Calls.DEVICE_COUNT.invokeExact(result));
    }

    /** @param version as the driver tells it: 1000 times the major number, ten times the minor one */
    static void requireVersion(int version) {
        if (version < OLDEST_DRIVER) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    "the NVIDIA driver speaks CUDA " + version / 1000 + "." + version % 1000 / 10
                            + "; CUDA 12.0 or newer is needed: update the driver, or use --device cpu");
        }
    }

    /**
     * Opens a GPU for the calling thread.
     *
     * @throws TensorException UNAVAILABLE when there is no such GPU
     */
    public static Gpu open(int ordinal) {
        return open(ordinal, false);
    }

    /**
     * Opens a GPU for work beside its rank's: a stream of its own, whose blocks start before those that wait for a place
     * in another stream. Used by one thread at a time, after {@link #use}; several may queue copies and set marks of their own
     * at once.
     *
     * @throws TensorException UNAVAILABLE when there is no such GPU
     */
    public static Gpu openBeside(int ordinal) {
        return open(ordinal, true);
    }

    private static Gpu open(int ordinal, boolean first) {
        String why = whyUnavailable();
        if (!why.isEmpty()) {
            throw new TensorException(TensorException.Code.UNAVAILABLE, "no CUDA device: " + why);
        }
        int count = count();
        if (ordinal < 0 || ordinal >= count) {
            throw new TensorException(
                    TensorException.Code.UNAVAILABLE,
                    "there is no GPU " + ordinal + ": the driver shows " + count + " (see CUDA_VISIBLE_DEVICES)");
        }
        int device = Cuda.intOf("cuDeviceGet", result -> (int) Calls.DEVICE_GET.invokeExact(result, ordinal));
        long context = Cuda.longOf(
                "cuDevicePrimaryCtxRetain", result -> (int) Calls.CONTEXT_RETAIN.invokeExact(result, device));
        Cuda.run("cuCtxSetCurrent", () -> (int) Calls.CONTEXT_SET.invokeExact(context));
        long stream = first ? firstStream() : plainStream();
        return new Gpu(describe(ordinal, device), device, context, stream);
    }

    private static long plainStream() {
        return Cuda.longOf(
                "cuStreamCreate", result -> (int) Calls.STREAM_CREATE.invokeExact(result, STREAM_NON_BLOCKING));
    }

    private static long firstStream() {
        int greatest = Cuda.intOf("cuCtxGetStreamPriorityRange", result ->
                (int) Calls.STREAM_PRIORITIES.invokeExact(MemorySegment.NULL, result));
        return Cuda.longOf("cuStreamCreateWithPriority", result ->
                (int) Calls.STREAM_CREATE_PRIORITY.invokeExact(result, STREAM_NON_BLOCKING, greatest));
    }

    /** Makes the calling thread the one that uses this. */
    public void use() {
        Cuda.run("cuCtxSetCurrent", () -> (int) Calls.CONTEXT_SET.invokeExact(context));
    }

    private static GpuInfo describe(int ordinal, int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(256);
            Cuda.run("cuDeviceGetName", () -> (int) Calls.DEVICE_NAME.invokeExact(name, 256, device));
            return new GpuInfo(
                    ordinal,
                    name.getString(0),
                    attribute(device, ATTRIBUTE_MAJOR),
                    attribute(device, ATTRIBUTE_MINOR),
                    attribute(device, ATTRIBUTE_MULTIPROCESSORS),
                    attribute(device, ATTRIBUTE_SHARED_OPT_IN),
                    Cuda.longOf("cuDeviceTotalMem", result -> (int) Calls.DEVICE_MEMORY.invokeExact(result, device)));
        }
    }

    private static int attribute(int device, int attribute) {
        return Cuda.intOf(
                "cuDeviceGetAttribute", result -> (int) Calls.DEVICE_ATTRIBUTE.invokeExact(result, attribute, device));
    }

    public GpuInfo info() {
        return info;
    }

    /** The stream's handle. */
    public long stream() {
        return stream;
    }

    /** Bytes that are free on the card now. */
    public long freeBytes() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
            Cuda.run("cuMemGetInfo", () -> (int) Calls.MEMORY_INFO.invokeExact(free, total));
            return free.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /**
     * Device memory, not zeroed.
     *
     * @throws TensorException OUT_OF_MEMORY
     */
    public long allocate(long bytes) {
        return Cuda.longOf(
                "cuMemAlloc of " + bytes + " bytes", result -> (int) Calls.ALLOCATE.invokeExact(result, bytes));
    }

    /** Whether {@link #growing} works: vGPUs and old drivers have no virtual memory management. */
    public boolean canGrow() {
        return attribute(device, ATTRIBUTE_VIRTUAL_MEMORY) != 0;
    }

    /** A range of addresses for up to so many bytes, none of them backed by memory yet. */
    public GrowingMemory growing(long mostBytes) {
        return new GrowingMemory(device, mostBytes);
    }

    public void free(long address) {
        Cuda.run("cuMemFree", () -> (int) Calls.FREE.invokeExact(address));
    }

    /** Page-locked host memory, which copies reach at full speed and without a wait. Freed with {@link #freeHost}. */
    public MemorySegment allocateHost(long bytes) {
        long address = Cuda.longOf("cuMemHostAlloc of " + bytes + " bytes", result ->
                (int) Calls.ALLOCATE_HOST.invokeExact(result, bytes, 0));
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    public void freeHost(MemorySegment memory) {
        Cuda.run("cuMemFreeHost", () -> (int) Calls.FREE_HOST.invokeExact(memory.address()));
    }

    /** Page-locked host memory that is made fast; for this thread, or another one that uses the GPU. */
    public LockedPages lockedPages(long bytes) {
        return new LockedPages(bytes);
    }

    /**
     * Queues a copy. Pageable host memory may be changed when the call returns; page-locked memory only when the stream
     * has passed the copy.
     */
    public void toDevice(MemorySegment host, long target, long bytes) {
        Cuda.run("copy to the device", () -> (int) Calls.TO_DEVICE.invokeExact(target, host, bytes, stream));
    }

    /** Queues a copy; the host may read when the stream has passed it. */
    public void toHost(long source, MemorySegment host, long bytes) {
        Cuda.run("copy to the host", () -> (int) Calls.TO_HOST.invokeExact(host, source, bytes, stream));
    }

    /** Queues a copy within the device. */
    public void copy(long source, long target, long bytes) {
        Cuda.run("copy on the device", () -> (int) Calls.ON_DEVICE.invokeExact(target, source, bytes, stream));
    }

    /** Queues a fill. */
    public void fill(long target, byte value, long bytes) {
        Cuda.run("cuMemsetD8", () -> (int) Calls.FILL.invokeExact(target, value, bytes, stream));
    }

    /** Queues the writing of a number, behind everything queued before and visible to the host when it stands there. */
    public void write(MemorySegment hostWord, long value) {
        Cuda.run("cuStreamWriteValue64", () ->
                (int) Calls.STREAM_WRITE.invokeExact(stream, hostWord.address(), value, 0));
    }

    /** Waits until the stream has done everything; errors of kernels appear here. */
    public void synchronize() {
        Cuda.run("cuStreamSynchronize", () -> (int) Calls.STREAM_SYNCHRONIZE.invokeExact(stream));
    }

    /** Whether the stream has done everything, without a wait; errors of kernels appear here. */
    public boolean isIdle() {
        int code;
        try {
            code = (int) Calls.STREAM_QUERY.invokeExact(stream);
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "cuStreamQuery: " + e, e);
        }
        if (code != 0 && code != NOT_READY) {
            throw Cuda.failure("cuStreamQuery", code);
        }
        return code == 0;
    }

    /** Opens or closes the range that an outside profiler waits for. */
    public void outsideProfiler(boolean on) {
        if (on) {
            Cuda.run("cuProfilerStart", () -> (int) Calls.PROFILER_START.invokeExact());
        } else {
            Cuda.run("cuProfilerStop", () -> (int) Calls.PROFILER_STOP.invokeExact());
        }
    }

    /** Loads machine code. */
    public KernelModule load(byte[] code) {
        return KernelModule.load(code);
    }

    /** A point of the stream's time. */
    public GpuEvent event() {
        return new GpuEvent(stream, true);
    }

    /** As {@link #event}, but one that no time is taken from: the device is done with it sooner. */
    public GpuEvent untimedEvent() {
        return new GpuEvent(stream, false);
    }

    /** Records what {@code work} queues instead of running it. */
    public GpuGraph capture(Runnable work) {
        Cuda.run("cuStreamBeginCapture", () -> (int) Calls.CAPTURE_BEGIN.invokeExact(stream, CAPTURE_THREAD_LOCAL));
        RuntimeException failure = null;
        try {
            work.run();
        } catch (RuntimeException e) {
            failure = e;
        }
        long graph;
        try {
            graph = Cuda.longOf("cuStreamEndCapture", result -> (int) Calls.CAPTURE_END.invokeExact(stream, result));
        } catch (TensorException e) {
            throw failure == null ? e : failure;
        }
        if (failure != null) {
            Cuda.run("cuGraphDestroy", () -> (int) Calls.GRAPH_DESTROY.invokeExact(graph));
            throw failure;
        }
        return new GpuGraph(graph, stream);
    }

    /** Frees the stream and gives the context up; memory that was not freed goes with the process. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            synchronize();
            Cuda.run("cuStreamDestroy", () -> (int) Calls.STREAM_DESTROY.invokeExact(stream));
            Cuda.run("cuDevicePrimaryCtxRelease", () -> (int) Calls.CONTEXT_RELEASE.invokeExact(device));
        }
    }
}
