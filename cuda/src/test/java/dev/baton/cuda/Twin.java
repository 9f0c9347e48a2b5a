package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;

/** A GPU beside the scalar operators, and tensors that exist twice: F32 on the host, and of any type on the device. */
final class Twin implements AutoCloseable {
    private final CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
    private final CpuDevice host = CpuDevice.open(CpuOptions.of(1).withKernels(CpuKernels.SCALAR));
    private final Arena arena = Arena.ofShared();
    private final Random random = new Random();

    private Twin() {}

    /** On the first GPU; skips the test where there is none. */
    static Twin open() {
        requireGpu();
        return new Twin();
    }

    /** As {@link #open}; skips the test where the GPU has no products of warp groups, too. */
    static Twin openWithWarpGroups() {
        Twin twin = open();
        if (!twin.device.gpu().info().hasWarpGroupProducts()) {
            twin.close();
            Assumptions.abort("this GPU has no products of warp groups");
        }
        return twin;
    }

    /** Skips the test where there is no GPU. */
    static void requireGpu() {
        String why = CudaDevice.whyUnavailable();
        Assumptions.assumeTrue(why.isEmpty(), "no CUDA device: " + why);
    }

    CudaDevice device() {
        return device;
    }

    /** The device's operators. */
    Ops cuda() {
        return device.ops();
    }

    /** The host's. */
    Ops scalar() {
        return host.ops();
    }

    /** Host memory until the end. */
    Arena arena() {
        return arena;
    }

    @Override
    public void close() {
        device.close();
        host.close();
        arena.close();
    }

    Random random() {
        return random;
    }

    /**
     * @param host F32, dense, the very values that the device holds
     * @param device of the wanted type; rows may be strided
     */
    record Pair(Tensor host, Tensor device) {}

    /** Random values in [-1, 1), exact in the device's type; gaps between rows are NaN. */
    Pair floats(DType dtype, int rows, int columns, int gap, long... shape) {
        long stride = columns + gap;
        MemorySegment host = arena.allocate(4L * Math.max(1, rows * columns), 64);
        MemorySegment raw = arena.allocate(Math.max(1, rows * stride) * dtype.bytes(), 64);
        raw.fill((byte) 0xff);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < columns; i++) {
                float value = random.nextFloat() * 2 - 1;
                if (dtype == DType.BF16) {
                    short bits = bf16(value);
                    raw.setAtIndex(ValueLayout.JAVA_SHORT, row * stride + i, bits);
                    value = Float.intBitsToFloat(bits << 16);
                } else {
                    raw.setAtIndex(ValueLayout.JAVA_FLOAT, row * stride + i, value);
                }
                host.setAtIndex(ValueLayout.JAVA_FLOAT, (long) row * columns + i, value);
            }
        }
        long[] wanted = shape.length == 0 ? new long[] {rows, columns} : shape;
        return new Pair(Tensor.dense(host, DType.F32, wanted), upload(raw, dtype, stride, wanted));
    }

    /** Random E4M3 values of every exponent, none of them NaN. */
    Pair f8(int rows, int columns) {
        MemorySegment raw = arena.allocate((long) rows * columns, 64);
        for (long i = 0; i < raw.byteSize(); i++) {
            int magnitude = random.nextInt(127);
            raw.set(ValueLayout.JAVA_BYTE, i, (byte) (random.nextBoolean() ? magnitude : magnitude | 128));
        }
        return new Pair(
                Tensor.dense(raw, DType.F8_E4M3, rows, columns), upload(raw, DType.F8_E4M3, columns, rows, columns));
    }

    private Tensor upload(MemorySegment raw, DType dtype, long stride, long... shape) {
        Tensor flat = device.allocate(dtype, raw.byteSize() / dtype.bytes());
        device.toDevice(raw, flat);
        return new Tensor(flat.memory(), dtype, stride, shape);
    }

    Pair floats(DType dtype, int rows, int columns) {
        return floats(dtype, rows, columns, random.nextInt(2) * 8);
    }

    /** Nothing but NaN, so that what is not written shows. */
    Pair poisoned(DType dtype, int rows, int columns) {
        MemorySegment raw = arena.allocate((long) Math.max(1, rows * columns) * dtype.bytes(), 64);
        raw.fill((byte) 0xff);
        return new Pair(
                Tensor.dense(arena.allocate(4L * Math.max(1, rows * columns), 64), DType.F32, rows, columns),
                upload(raw, dtype, columns, rows, columns));
    }

    Pair intMatrix(int rows, int columns, int... values) {
        MemorySegment memory = arena.allocate(4L * Math.max(1, values.length), 64);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_INT, 0, values.length);
        long[] shape = rows == 0 ? new long[] {columns} : new long[] {rows, columns};
        return new Pair(Tensor.dense(memory, DType.I32, shape), upload(memory, DType.I32, columns, shape));
    }

    /** [values.length] */
    Pair ints(int... values) {
        return intMatrix(0, values.length, values);
    }

    /** The same batch in host and in device memory. */
    record Batches(AttentionBatch host, AttentionBatch device) {}

    /** Counts of new tokens at the ends of contexts, whose slots lie anywhere; rows of the table in reverse order. */
    Batches batch(int[] counts, int[] contexts, int slots) {
        int sequences = counts.length;
        int[] starts = new int[sequences + 1];
        int longest = 0;
        int most = 0;
        for (int b = 0; b < sequences; b++) {
            starts[b + 1] = starts[b] + counts[b];
            longest = Math.max(longest, contexts[b]);
            most = Math.max(most, counts[b]);
        }
        int[] table = new int[(sequences + 1) * longest];
        int[] rows = new int[sequences];
        for (int b = 0; b < sequences; b++) {
            rows[b] = sequences - b;
            int[] order = random.ints(0, slots).distinct().limit(contexts[b]).toArray();
            System.arraycopy(order, 0, table, rows[b] * longest, order.length);
        }
        Twin.Pair s = ints(starts);
        Twin.Pair c = ints(contexts);
        Twin.Pair r = ints(rows);
        Twin.Pair t = intMatrix(sequences + 1, longest, table);
        return new Batches(
                new AttentionBatch(sequences, s.host(), c.host(), r.host(), t.host(), most, longest),
                new AttentionBatch(sequences, s.device(), c.device(), r.device(), t.device(), most, longest));
    }

    /** The device's values; rows may be strided. */
    float[] values(Tensor tensor) {
        int rows = tensor.rows();
        int columns = tensor.columns();
        long span = rows == 0 ? 0 : (rows - 1) * tensor.rowStride() + columns;
        MemorySegment raw = arena.allocate(Math.max(1, span) * tensor.dtype().bytes(), 64);
        device.toHost(Tensor.dense(tensor.memory(), tensor.dtype(), span), raw);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            long at = i / columns * tensor.rowStride() + i % columns;
            values[i] = tensor.dtype() == DType.BF16
                    ? Float.intBitsToFloat(raw.getAtIndex(ValueLayout.JAVA_SHORT, at) << 16)
                    : raw.getAtIndex(ValueLayout.JAVA_FLOAT, at);
        }
        return values;
    }

    int[] ints(Tensor tensor) {
        MemorySegment raw = arena.allocate(4 * tensor.elements(), 64);
        device.toHost(tensor, raw);
        return raw.toArray(ValueLayout.JAVA_INT);
    }

    /** |device - host| / |host| over the whole tensor, by norms; NaN where the device left one. */
    double error(Pair pair) {
        float[] actual = values(pair.device());
        double difference = 0;
        double size = 0;
        for (int i = 0; i < actual.length; i++) {
            long at = i / pair.host().columns() * pair.host().rowStride()
                    + i % pair.host().columns();
            double expected = pair.host().memory().getAtIndex(ValueLayout.JAVA_FLOAT, at);
            difference += (actual[i] - expected) * (actual[i] - expected);
            size += expected * expected;
        }
        return Math.sqrt(difference / Math.max(size, 1e-30));
    }

    /** F32 results within 2e-5, results rounded to BF16 within 4e-3, of the scalar ones. */
    void assertEqual(String what, Pair pair) {
        assertThat(error(pair))
                .as(what + " " + pair.device())
                .isLessThan(pair.device().dtype() == DType.BF16 ? 4e-3 : 2e-5);
    }

    private static short bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }
}
