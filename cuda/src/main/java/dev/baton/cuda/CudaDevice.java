package dev.baton.cuda;

import dev.baton.cuda.compile.KernelCache;
import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.GpuEvent;
import dev.baton.cuda.driver.GpuGraph;
import dev.baton.cuda.driver.GrowingMemory;
import dev.baton.cuda.driver.PeerMemory;
import dev.baton.cuda.nccl.NcclGroup;
import dev.baton.cuda.profile.GpuActivity;
import dev.baton.cuda.profile.Nvtx;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceExchange;
import dev.baton.tensor.DeviceInfo;
import dev.baton.tensor.DeviceMark;
import dev.baton.tensor.Graph;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.ToolRanges;
import dev.baton.tensor.Weight;
import dev.baton.tensor.parallel.Communicator;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One NVIDIA GPU as one rank's device. Operators are queued on one stream; tensors carry device addresses, so their
 * memory must not be read on the host. Opened and used by one thread.
 */
public final class CudaDevice implements Device {
    private final Gpu gpu;
    private final CudaOptions options;
    private final DeviceInfo info;
    private final CudaOps ops;
    private final GpuActivity activity;
    private final CudaExchange exchange;
    private final @Nullable ToolRanges toolRanges;
    /** Address to bytes. */
    private final Map<Long, Long> allocations = new HashMap<>();

    private final List<GpuEvent> marks = new ArrayList<>();
    private final List<MemorySegment> hostBuffers = new ArrayList<>();
    private final CudaWeights weights;

    private final long limitBytes;
    private long allocatedBytes;
    private boolean closed;

    private CudaDevice(Gpu gpu, CudaOptions options) {
        this.gpu = gpu;
        this.options = options;
        this.limitBytes = Math.min(options.memoryLimitBytes(), gpu.freeBytes());
        this.info = new DeviceInfo("cuda", gpu.info().name(), limitBytes, 0);
        this.weights = new CudaWeights(this, gpu, limitBytes);
        this.ops = new CudaOps(this, KernelCache.standard());
        this.activity = new GpuActivity(gpu);
        this.exchange = new CudaExchange(gpu);
        this.toolRanges = Nvtx.attached();
    }

    /** Why no GPU can be used on this machine; empty when one can. */
    public static String whyUnavailable() {
        return Gpu.whyUnavailable();
    }

    /**
     * Opens a GPU for the calling thread and compiles what is not in the kernel cache.
     *
     * @throws TensorException UNAVAILABLE when there is no such GPU or a library is missing
     */
    public static CudaDevice open(CudaOptions options) {
        Gpu gpu = Gpu.open(options.ordinal());
        try {
            return new CudaDevice(gpu, options);
        } catch (ExceptionInInitializerError e) {
            gpu.close();
            if (e.getCause() instanceof TensorException missing) {
                throw missing;
            }
            throw e;
        } catch (RuntimeException e) {
            gpu.close();
            throw e;
        }
    }

    Gpu gpu() {
        return gpu;
    }

    @Override
    public DType activationType() {
        return options.activations();
    }

    @Override
    public DeviceInfo info() {
        return info;
    }

    @Override
    public Ops ops() {
        return ops;
    }

    @Override
    public DeviceActivity activity() {
        return activity;
    }

    @Override
    public @Nullable ToolRanges toolRanges() {
        return toolRanges;
    }

    @Override
    public DeviceExchange exchange() {
        return exchange;
    }

    /** Bytes handed out and not given back. */
    public long allocatedBytes() {
        return allocatedBytes;
    }

    @Override
    public Tensor allocate(DType dtype, long... shape) {
        long bytes = bytes(dtype, shape);
        long rounded = Math.max(256, (bytes + 255) / 256 * 256);
        if (rounded > limitBytes - allocatedBytes) {
            throw outOfMemory(dtype, shape, bytes);
        }
        long address;
        try {
            address = gpu.allocate(rounded);
        } catch (TensorException e) {
            throw e.code() == TensorException.Code.OUT_OF_MEMORY ? outOfMemory(dtype, shape, bytes) : e;
        }
        allocations.put(address, rounded);
        allocatedBytes += rounded;
        gpu.fill(address, (byte) 0, rounded);
        return Tensor.dense(MemorySegment.ofAddress(address).reinterpret(bytes), dtype, shape);
    }

    /** Of a dense tensor. */
    static long bytes(DType dtype, long... shape) {
        long bytes = dtype.bytes();
        for (long size : shape) {
            bytes = Math.multiplyExact(bytes, size);
        }
        return bytes;
    }

    private TensorException outOfMemory(DType dtype, long[] shape, long bytes) {
        return new TensorException(
                TensorException.Code.OUT_OF_MEMORY,
                "cannot allocate " + bytes + " bytes on GPU " + options.ordinal() + " for " + dtype
                        + Arrays.toString(shape) + ": " + allocatedBytes + " of " + limitBytes
                        + " bytes that were free are taken; lower --mem-fraction-static, --max-total-tokens,"
                        + " --max-running-requests, --context-length or --chunked-prefill-size");
    }

    /** Backs memory with the bytes that are missing, or with as many as wished where there are so many. */
    void grow(GrowingMemory memory, long missing, long wished, DType dtype, long[] shape) {
        long left = limitBytes - allocatedBytes;
        long bytes = memory.rounded(Math.max(missing, wished));
        bytes = bytes <= left ? bytes : memory.rounded(missing);
        if (bytes > left) {
            throw outOfMemory(dtype, shape, bytes(dtype, shape));
        }
        try {
            memory.grow(bytes);
        } catch (TensorException e) {
            throw e.code() == TensorException.Code.OUT_OF_MEMORY ? outOfMemory(dtype, shape, bytes(dtype, shape)) : e;
        }
        allocatedBytes += bytes;
    }

    @Override
    public Tensor place(String name, Tensor host) {
        return weights.place(name, host);
    }

    @Override
    public void beginPlacing() {
        weights.begin();
    }

    @Override
    public void endPlacing() {
        weights.end();
    }

    @Override
    public @Nullable Weight merge(List<Weight> parts) {
        return weights.merge(parts);
    }

    /** Frees a tensor where it is an allocation; others are freed with what they lie in. */
    void freeIfOwn(Tensor tensor) {
        long address = tensor.memory().address();
        Long bytes = allocations.remove(address);
        if (bytes != null) {
            gpu.free(address);
            allocatedBytes -= bytes;
        }
    }

    @Override
    public void toDevice(MemorySegment host, Tensor target) {
        long bytes = denseBytes(target, host);
        if (bytes > 0) {
            gpu.toDevice(host, target.memory().address(), bytes);
        }
    }

    @Override
    public void toHost(Tensor source, MemorySegment host) {
        weights.await();
        long bytes = denseBytes(source, host);
        if (bytes > 0) {
            gpu.toHost(source.memory().address(), host, bytes);
        }
        gpu.synchronize();
    }

    /** Takes this device's thread into a group, as one of its ranks; waits for the others. */
    public Communicator join(NcclGroup group, int rank) {
        return group.join(rank, gpu);
    }

    /** Copies a dense tensor of one GPU to another one's and waits for it; on the thread of either. */
    public static void move(Tensor source, Tensor target) {
        PeerMemory.copy(source.memory().address(), target.memory().address(), denseBytes(source, target.memory()));
    }

    /** GPUs that the driver shows; 0 where there is none. */
    public static int count() {
        return whyUnavailable().isEmpty() ? Gpu.count() : 0;
    }

    @Override
    public boolean isAsynchronous() {
        return true;
    }

    @Override
    public DeviceMark mark() {
        GpuEvent event = gpu.event();
        marks.add(event);
        return new DeviceMark() {
            @Override
            public void set() {
                event.record();
            }

            @Override
            public boolean passed() {
                return event.hasPassed();
            }

            @Override
            public void await() {
                event.synchronize();
            }
        };
    }

    /** Queues a copy within the device, both dense and of equal size. */
    public void copy(Tensor source, Tensor target) {
        long bytes = denseBytes(source, target.memory());
        gpu.copy(source.memory().address(), target.memory().address(), bytes);
    }

    private static long denseBytes(Tensor tensor, MemorySegment host) {
        if (!tensor.isDense() && tensor.rows() > 1) {
            throw new TensorException(TensorException.Code.SHAPE, "only a dense tensor can be copied, not " + tensor);
        }
        long bytes = tensor.elements() * tensor.dtype().bytes();
        if (host.byteSize() < bytes) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    tensor + " has " + bytes + " bytes, the host memory " + host.byteSize());
        }
        return bytes;
    }

    @Override
    public MemorySegment hostBuffer(long bytes) {
        MemorySegment buffer = gpu.allocateHost(bytes);
        hostBuffers.add(buffer);
        return buffer;
    }

    @Override
    public boolean capturesGraphs() {
        return true;
    }

    @Override
    public Graph capture(Runnable work) {
        GpuGraph graph = gpu.capture(work);
        return new Graph() {
            @Override
            public void launch() {
                graph.launch();
            }

            @Override
            public void close() {
                graph.close();
            }
        };
    }

    @Override
    public void synchronize() {
        weights.await();
        gpu.synchronize();
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            weights.endStream();
            gpu.synchronize();
            ops.close();
            exchange.close();
            marks.forEach(GpuEvent::close);
            allocations.keySet().forEach(gpu::free);
            hostBuffers.forEach(gpu::freeHost);
            weights.close();
            gpu.close();
        }
    }
}
