package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Takes one rank's part of named weights out of a source: views where the device can read the source's memory. A matrix
 * that is stored as F8_E4M3 brings its block scales along, see {@link BlockScaled}.
 */
public final class WeightLoader {
    private final WeightSource source;
    private final Device device;
    /** Element type of random weights. */
    private final DType dummyType;
    /** Element type of random matrices. */
    private final DType dummyMatrixType;

    private final AtomicLong bytes;

    /** @param source must outlive the device */
    public WeightLoader(WeightSource source, Device device, ModelConfig config) {
        this(
                source,
                device,
                config.dtype(),
                config.quantization() == null ? config.dtype() : DType.F8_E4M3,
                new AtomicLong());
    }

    private WeightLoader(WeightSource source, Device device, DType dummyType, DType dummyMatrixType, AtomicLong bytes) {
        this.source = source;
        this.device = device;
        this.dummyType = dummyType;
        this.dummyMatrixType = dummyMatrixType;
        this.bytes = bytes;
    }

    /** The same loader for what a quantised model leaves unquantised: routers and the output projection. */
    public WeightLoader unquantized() {
        return new WeightLoader(source, device, dummyType, dummyType, bytes);
    }

    /** Bytes of everything loaded so far: this rank's share, whether mapped or copied. */
    public long bytes() {
        return bytes.get();
    }

    /** The device that holds the weights. */
    public Device device() {
        return device;
    }

    /** A whole linear layer [out, in]. */
    public Weight linear(String prefix, int out, int in, boolean bias) {
        return rows(prefix, out, in, 0, out, bias);
    }

    /** Output features {@code [from, from + count)} of a linear layer [out, in]. */
    public Weight rows(String prefix, int out, int in, int from, int count, boolean bias) {
        Tensor biases = bias ? vector(prefix + ".bias", out, from, count) : null;
        return part(prefix + ".weight", out, in, new BlockScaled.Part(from, count, 0, in), biases);
    }

    /**
     * Input features {@code [from, from + count)} of a linear layer [out, in]: its result is a partial sum, so the bias
     * belongs to one rank only.
     */
    public Weight columns(String prefix, int out, int in, int from, int count, boolean bias) {
        Tensor biases = bias ? vector(prefix + ".bias", out) : null;
        return part(prefix + ".weight", out, in, new BlockScaled.Part(0, out, from, count), biases);
    }

    private Weight part(String name, int out, int in, BlockScaled.Part part, @Nullable Tensor bias) {
        StoredTensor stored = matrix(name, dummyMatrixType, out, in);
        if (stored.dtype() != DType.F8_E4M3) {
            Tensor whole = Tensor.dense(stored.data(), stored.dtype(), out, in);
            return new Weight(
                    place(name, whole.rowRange(part.row(), part.rows()).columnRange(part.column(), part.columns())),
                    null,
                    bias);
        }
        BlockScaled scaled = BlockScaled.of(source, stored);
        if (part.startsBlock()) {
            Tensor scales = uploadCounted(scaled.scales(part), part.blockRows(), part.blockColumns());
            return new Weight(place(name, scaled.matrix(part)), scales, bias);
        }
        return new Weight(uploadCounted(scaled.expand(part), part.rows(), part.columns()), null, bias);
    }

    /** Rows {@code [from, from + count)} of a table [rows, columns]. */
    public Tensor table(String name, int rows, int columns, int from, int count) {
        StoredTensor stored = matrix(name, dummyType, rows, columns);
        refuseScaled(stored);
        return place(
                name, Tensor.dense(stored.data(), stored.dtype(), rows, columns).rowRange(from, count));
    }

    /** A vector as F32 [n], whatever it is stored as. */
    public Tensor vector(String name, int n) {
        return vector(name, n, 0, n);
    }

    private Tensor vector(String name, int n, int from, int count) {
        float[] values = source.get(name, dummyType, n).toFloats();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment staged = arena.allocate(4L * count, 64);
            MemorySegment.copy(values, from, staged, ValueLayout.JAVA_FLOAT, 0, count);
            return upload(staged, DType.F32, count);
        }
    }

    /**
     * One matrix a head, cut out of a stored [heads * headRows, columns]: rows {@code [from, from + count)} of each of
     * the heads {@code [firstHead, firstHead + heads)}.
     *
     * @param transpose each matrix is turned round: [heads, columns, count] instead of [heads, count, columns]
     */
    public Tensor headMatrices(
            String name,
            int totalHeads,
            int headRows,
            int columns,
            int firstHead,
            int heads,
            int from,
            int count,
            boolean transpose) {
        StoredTensor stored = unscaled(matrix(name, dummyMatrixType, (long) totalHeads * headRows, columns));
        int size = stored.dtype().bytes();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment staged = arena.allocate((long) heads * count * columns * size, 64);
            for (int h = 0; h < heads; h++) {
                long base = (long) h * count * columns;
                for (int row = 0; row < count; row++) {
                    long source = ((long) (firstHead + h) * headRows + from + row) * columns;
                    if (!transpose) {
                        long target = base + (long) row * columns;
                        MemorySegment.copy(stored.data(), source * size, staged, target * size, (long) columns * size);
                        continue;
                    }
                    for (int column = 0; column < columns; column++) {
                        copyElement(stored.data(), source + column, staged, base + (long) column * count + row, size);
                    }
                }
            }
            return transpose
                    ? upload(staged, stored.dtype(), heads, columns, count)
                    : upload(staged, stored.dtype(), heads, count, columns);
        }
    }

    private static void copyElement(MemorySegment from, long source, MemorySegment to, long target, int size) {
        if (size == 2) {
            to.set(
                    ValueLayout.JAVA_SHORT_UNALIGNED,
                    target * 2,
                    from.get(ValueLayout.JAVA_SHORT_UNALIGNED, source * 2));
        } else {
            to.set(ValueLayout.JAVA_INT_UNALIGNED, target * 4, from.get(ValueLayout.JAVA_INT_UNALIGNED, source * 4));
        }
    }

    private StoredTensor matrix(String name, DType ifDummy, long rows, long columns) {
        StoredTensor stored = source.get(name, ifDummy, rows, columns);
        return switch (stored.dtype()) {
            case F32, F16, BF16, F8_E4M3 -> stored;
            case F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL -> throw notServed(stored);
        };
    }

    /** An F8 matrix with its scales multiplied in, as F32; another one as it is. */
    private StoredTensor unscaled(StoredTensor stored) {
        if (stored.dtype() != DType.F8_E4M3) {
            return stored;
        }
        int rows = (int) stored.shape()[0];
        int columns = (int) stored.shape()[1];
        float[] values = BlockScaled.of(source, stored).expand(new BlockScaled.Part(0, rows, 0, columns));
        return StoredTensor.of(stored.name(), DType.F32, values, rows, columns);
    }

    private static void refuseScaled(StoredTensor stored) {
        if (stored.dtype() == DType.F8_E4M3) {
            throw notServed(stored);
        }
    }

    private static EngineException notServed(StoredTensor stored) {
        return new EngineException(
                EngineException.Code.CONFIGURATION,
                "weight " + stored.name() + " is stored as " + stored.dtype()
                        + "; F32, F16, BF16 and (matrices of layers) block-scaled F8_E4M3 can be served");
    }

    private Tensor place(String name, Tensor host) {
        bytes.addAndGet(host.elements() * host.dtype().bytes());
        return device.place(name, host);
    }

    private Tensor uploadCounted(float[] values, long... shape) {
        bytes.addAndGet(4L * values.length);
        return upload(device, values, shape);
    }

    /** Host memory, copied to the device. */
    private Tensor upload(MemorySegment host, DType dtype, long... shape) {
        Tensor tensor = device.allocate(dtype, shape);
        device.toDevice(host, tensor);
        bytes.addAndGet(tensor.elements() * dtype.bytes());
        return tensor;
    }

    /** An F32 table made here (rope, scales), copied to the device. */
    public static Tensor upload(Device device, float[] values, long... shape) {
        Tensor tensor = device.allocate(DType.F32, shape);
        try (Arena arena = Arena.ofConfined()) {
            device.toDevice(arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), tensor);
        }
        return tensor;
    }
}
