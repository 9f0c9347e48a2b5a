package dev.baton.cuda;

import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.GrowingMemory;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one GPU and their way to it. They lie one behind the other in memory that grows, so that layers of one input
 * which are placed in a row are one matrix without a copy. Threads and page-locked buffers exist while tensors are placed.
 */
final class CudaWeights {
    private static final Logger LOG = System.getLogger(CudaWeights.class.getName());

    /** More than these do not make the copies faster. */
    private static final int MOST_WORKERS = 16;

    private static final long ALIGNMENT = 256;
    /** Memory grows by an eighth of what there is: few calls for large models, little unused behind small ones. */
    private static final int GROWTH_SHARE = 8;

    private static final long LEAST_GROWTH = 4 << 20;
    private static final long MOST_GROWTH = 512 << 20;

    private final CudaDevice device;
    private final Gpu gpu;
    private final long mostBytes;
    /** Made with the first tensor; null where the GPU has none: tensors are then allocated one by one. */
    private @Nullable GrowingMemory memory;

    private long usedBytes;
    /** Parts of joined layers, freed at the end of placing: to free memory waits for the device. */
    private final List<Tensor> spent = new ArrayList<>();

    private @Nullable WeightStream stream;
    /** The stream of its copies: the device's own is for the caller's, which must not stand behind them. */
    private @Nullable Gpu laneGpu;
    /** Since the stream was made, for the log. */
    private long placedBytes;

    /** Of the first of these bytes. */
    private long startNanos;

    /** @param mostBytes of the device's memory */
    CudaWeights(CudaDevice device, Gpu gpu, long mostBytes) {
        this.device = device;
        this.gpu = gpu;
        this.mostBytes = mostBytes;
    }

    /** As {@link dev.baton.tensor.Device#beginPlacing}. */
    void begin() {
        if (stream == null) {
            open();
        }
    }

    /** Begins to copy, see {@link dev.baton.tensor.Device#place}. */
    Tensor place(String name, Tensor host) {
        Tensor copy = reserve(host.dtype(), host.shape());
        if (copy.elements() == 0) {
            return copy;
        }
        WeightStream open = stream == null ? open() : stream;
        if (placedBytes == 0) {
            startNanos = System.nanoTime();
        }
        placedBytes += copy.memory().byteSize();
        long target = copy.memory().address();
        if (open.reads(host.memory())) {
            open.send(name, host, target);
        } else {
            copyHere(HostRows.of(host), target);
        }
        return copy;
    }

    private WeightStream open() {
        placedBytes = 0;
        Gpu lanes = Gpu.openBeside(gpu.info().ordinal());
        int workers = Math.min(MOST_WORKERS, Runtime.getRuntime().availableProcessors());
        WeightStream open = new WeightStream(workers, () -> new GpuLane(lanes));
        laneGpu = lanes;
        stream = open;
        return open;
    }

    /** Memory behind what was placed before; zero only behind the tensor's end, up to the next multiple of 256 bytes. */
    private Tensor reserve(DType dtype, long... shape) {
        if (memory == null) {
            if (!gpu.canGrow()) {
                return device.allocate(dtype, shape);
            }
            memory = gpu.growing(mostBytes);
        }
        GrowingMemory range = memory;
        long bytes = CudaDevice.bytes(dtype, shape);
        long rounded = Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
        long missing = usedBytes + rounded - range.backedBytes();
        if (missing > 0) {
            long wished = Math.clamp(range.backedBytes() / GROWTH_SHARE, LEAST_GROWTH, MOST_GROWTH);
            device.grow(range, missing, wished, dtype, shape);
        }
        long address = range.address() + usedBytes;
        usedBytes += rounded;
        if (rounded > bytes) {
            gpu.fill(address + bytes, (byte) 0, rounded - bytes);
        }
        return Tensor.dense(MemorySegment.ofAddress(address).reinterpret(bytes), dtype, shape);
    }

    /** Memory that belongs to the calling thread alone. */
    private void copyHere(HostRows rows, long target) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment packed = arena.allocate(rows.bytes(), 64);
            rows.pack(0, rows.bytes(), packed);
            gpu.toDevice(packed, target, rows.bytes());
            gpu.synchronize();
        }
    }

    /** As {@link dev.baton.tensor.Device#merge}. */
    @Nullable
    Weight merge(List<Weight> weights) {
        Tensor first = weights.getFirst().matrix();
        boolean alike = weights.stream()
                .allMatch(w -> w.matrix().dtype() == first.dtype()
                        && w.inFeatures() == first.columns()
                        && w.blockScales() == null
                        && w.matrix().isDense()
                        && (w.bias() == null) == (weights.getFirst().bias() == null));
        if (!alike) {
            return null;
        }
        Tensor matrix = join(weights.stream().map(Weight::matrix).toList(), first.columns(), true);
        Tensor bias = weights.getFirst().bias() == null
                ? null
                : join(
                                weights.stream()
                                        .map(w -> Objects.requireNonNull(w.bias()))
                                        .toList(),
                                1,
                                false)
                        .reshape(matrix.rows());
        return new Weight(matrix, null, bias);
    }

    /**
     * The rows of all parts: where they lie when they follow each other, else in new memory.
     *
     * @param placed parts may be on their way
     */
    private Tensor join(List<Tensor> parts, int columns, boolean placed) {
        Tensor first = parts.getFirst();
        DType dtype = first.dtype();
        long rows = 0;
        long bytes = 0;
        boolean follow = true;
        for (Tensor part : parts) {
            follow &= part.memory().address() == first.memory().address() + bytes;
            rows += part.elements() / columns;
            bytes += part.elements() * dtype.bytes();
        }
        if (follow) {
            return Tensor.dense(
                    MemorySegment.ofAddress(first.memory().address()).reinterpret(bytes), dtype, rows, columns);
        }
        if (placed) {
            await();
        }
        Tensor whole = device.allocate(dtype, rows, columns);
        long at = whole.memory().address();
        for (Tensor part : parts) {
            long count = part.elements() * dtype.bytes();
            gpu.copy(part.memory().address(), at, count);
            at += count;
        }
        spent.addAll(parts);
        return whole;
    }

    /** Waits until everything placed has arrived. */
    void await() {
        if (stream != null) {
            stream.await();
        }
    }

    /** As {@link dev.baton.tensor.Device#endPlacing}. */
    void end() {
        try {
            await();
            if (placedBytes > 0) {
                double seconds = (System.nanoTime() - startNanos) / 1e9;
                LOG.log(
                        Level.INFO,
                        String.format(
                                Locale.ROOT,
                                "GPU %d: %.2f GB of weights placed in %.2f s (%.1f GB/s)",
                                gpu.info().ordinal(),
                                placedBytes / 1e9,
                                seconds,
                                placedBytes / 1e9 / seconds));
            }
        } finally {
            placedBytes = 0;
            endStream();
        }
        if (!spent.isEmpty()) {
            gpu.synchronize();
            spent.forEach(device::freeIfOwn);
            spent.clear();
        }
    }

    /** Ends the threads; what is on its way is lost. */
    void endStream() {
        if (stream != null) {
            WeightStream open = stream;
            stream = null;
            open.close();
        }
        if (laneGpu != null) {
            Gpu lanes = laneGpu;
            laneGpu = null;
            lanes.close();
        }
    }

    /** When nothing uses the weights any more. */
    void close() {
        if (memory != null) {
            memory.close();
        }
    }
}
