package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.DeviceInfo;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The CPU as one rank's device. Tensors lie in native memory, each on a 64-byte boundary; operators have finished when
 * their call returns.
 */
public final class CpuDevice implements Device {
    /** Alignment of every allocation: one cache line, one 512-bit vector. */
    static final long ALIGNMENT_BYTES = 64;

    private final CpuOptions options;
    private final DeviceInfo info;
    private final Arena arena = Arena.ofShared();
    private final Ops kernels;
    /** The kernels, or what rounds their results. */
    private final Ops ops;

    private long allocatedBytes;
    private boolean closed;

    private CpuDevice(CpuOptions options) {
        this.options = options;
        this.info = new DeviceInfo("cpu", CpuMachine.name(), options.memoryLimitBytes(), options.threads());
        this.kernels = switch (options.kernels()) {
            case VECTOR -> new VectorOps(new CpuWorkers(options.threads(), options.firstCore()));
            case SCALAR -> new ScalarOps();
        };
        this.ops = options.activations() == DType.BF16 ? new RoundedOps(kernels) : kernels;
    }

    /** A device with configured kernels and the machine's memory as its limit. */
    public static CpuDevice open(int threads) {
        return open(CpuOptions.of(threads));
    }

    /**
     * Binds the calling thread, the rank's own, to the first core that the options name; helper threads bind
     * themselves. False when no core was named or the operating system refuses.
     */
    public boolean bindRankThread() {
        return options.firstCore() >= 0 && Affinity.bindCurrentThread(options.firstCore());
    }

    /** A device. Its helper threads, if any, start now and end with {@link #close}. */
    public static CpuDevice open(CpuOptions options) {
        return new CpuDevice(options);
    }

    @Override
    public DeviceInfo info() {
        return info;
    }

    @Override
    public Ops ops() {
        return ops;
    }

    /** Bytes handed out so far. */
    public long allocatedBytes() {
        return allocatedBytes;
    }

    @Override
    public Tensor allocate(DType dtype, long... shape) {
        long bytes = dtype.bytes();
        try {
            for (long size : shape) {
                bytes = Math.multiplyExact(bytes, size);
            }
        } catch (ArithmeticException e) {
            throw outOfMemory(dtype, shape, "more than 2^63 bytes", e);
        }
        if (bytes < 0) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "cannot allocate the shape " + Arrays.toString(shape));
        }
        if (bytes > options.memoryLimitBytes() - allocatedBytes) {
            throw outOfMemory(dtype, shape, bytes + " bytes", null);
        }
        long rounded = Math.max(ALIGNMENT_BYTES, (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES);
        MemorySegment memory;
        try {
            memory = arena.allocate(rounded, ALIGNMENT_BYTES);
        } catch (OutOfMemoryError e) {
            throw outOfMemory(dtype, shape, bytes + " bytes", e);
        }
        allocatedBytes += bytes;
        return Tensor.dense(memory.asSlice(0, bytes), dtype, shape);
    }

    private TensorException outOfMemory(DType dtype, long[] shape, String size, @Nullable Throwable cause) {
        String text = "cannot allocate " + size + " for " + dtype + Arrays.toString(shape) + ": " + allocatedBytes
                + " of " + options.memoryLimitBytes() + " bytes are taken; lower the KV cache (--max-total-tokens,"
                + " --mem-fraction-static) or the batch (--max-running-requests)";
        return cause == null
                ? new TensorException(TensorException.Code.OUT_OF_MEMORY, text)
                : new TensorException(TensorException.Code.OUT_OF_MEMORY, text, cause);
    }

    /** A view of native memory; heap memory is copied into the device's own. */
    @Override
    public Tensor place(String name, Tensor host) {
        if (host.memory().isNative()) {
            return host;
        }
        Tensor copy = allocate(host.dtype(), host.shape());
        copy(host, copy);
        return copy;
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        if (from.dtype() != to.dtype() || !Arrays.equals(from.shape(), to.shape())) {
            throw new TensorException(TensorException.Code.SHAPE, "copy: " + from + " to " + to);
        }
        int size = from.dtype().bytes();
        long rowBytes = (long) from.columns() * size;
        for (int row = 0; row < from.rows(); row++) {
            MemorySegment.copy(
                    from.memory(), row * from.rowStride() * size, to.memory(), row * to.rowStride() * size, rowBytes);
        }
    }

    @Override
    public void toDevice(MemorySegment host, Tensor target) {
        long bytes = denseBytes(target);
        requireHost(host, bytes, target);
        MemorySegment.copy(host, 0, target.memory(), 0, bytes);
    }

    @Override
    public void toHost(Tensor source, MemorySegment host) {
        long bytes = denseBytes(source);
        requireHost(host, bytes, source);
        MemorySegment.copy(source.memory(), 0, host, 0, bytes);
    }

    private static long denseBytes(Tensor tensor) {
        if (!tensor.isDense() && tensor.rows() > 1) {
            throw new TensorException(TensorException.Code.SHAPE, "only a dense tensor can be copied, not " + tensor);
        }
        return tensor.elements() * tensor.dtype().bytes();
    }

    private static void requireHost(MemorySegment host, long bytes, Tensor tensor) {
        if (host.byteSize() < bytes) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    tensor + " has " + bytes + " bytes, the host memory " + host.byteSize());
        }
    }

    /** Nothing to wait for. */
    @Override
    public void synchronize() {}

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            if (kernels instanceof VectorOps vector) {
                vector.close();
            }
            arena.close();
        }
    }
}
