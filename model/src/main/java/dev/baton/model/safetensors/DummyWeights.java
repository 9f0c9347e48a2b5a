package dev.baton.model.safetensors;

import dev.baton.model.DType;
import dev.baton.model.ModelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Random weights of whatever name and shape is asked for ({@code --load-format dummy}). A tensor's values depend on the
 * seed and its name only: every process that asks gets the same. Matrices are normal with deviation 0.02, norm weights
 * are 1. The memory is real and distinct for every tensor, so that bandwidth measured over it means something.
 */
public final class DummyWeights implements WeightSource {
    private static final float DEVIATION = 0.02f;
    /** Elements of the table that chunks are cut from. */
    private static final int TABLE_ELEMENTS = 1 << 20;
    /** A chunk is a contiguous piece of the table from a place that a hash chooses. */
    private static final int CHUNK_ELEMENTS = 1 << 14;

    private final long seed;
    private final Arena arena = Arena.ofShared();
    private final Map<String, StoredTensor> tensors = new ConcurrentHashMap<>();
    private final Map<DType, MemorySegment> tables = new ConcurrentHashMap<>();

    public DummyWeights(long seed) {
        this.seed = seed;
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(tensors.keySet());
    }

    /** Every name: random weights can be made of any. */
    @Override
    public boolean contains(String name) {
        return true;
    }

    /** A tensor made before by {@link #get}, or null. */
    @Override
    public @Nullable StoredTensor find(String name) {
        return tensors.get(name);
    }

    @Override
    public StoredTensor get(String name, DType dtype, long... shape) {
        StoredTensor tensor = tensors.computeIfAbsent(name, key -> make(key, dtype, shape));
        if (!Arrays.equals(tensor.shape(), shape) || tensor.dtype() != dtype) {
            throw new ModelException(
                    ModelException.Code.INVALID_WEIGHTS,
                    "dummy tensor " + tensor + " is asked for again as " + dtype + Arrays.toString(shape));
        }
        return tensor;
    }

    private StoredTensor make(String name, DType dtype, long[] shape) {
        long elements = 1;
        for (long dimension : shape) {
            elements = Math.multiplyExact(elements, dimension);
        }
        long bytes = Math.multiplyExact(elements, (long) dtype.bytes());
        MemorySegment data = arena.allocate(Math.max(bytes, 1), 64).asSlice(0, bytes);
        Float constant = constant(name, dtype, shape);
        if (constant != null) {
            fillConstant(data, dtype, constant, elements);
        } else {
            fillRandom(name, data, dtype, elements);
        }
        return new StoredTensor(name, dtype, shape.clone(), data.asReadOnly());
    }

    private static @Nullable Float constant(String name, DType dtype, long[] shape) {
        if (shape.length == 1 && name.contains("norm")) {
            return 1f;
        }
        if (name.endsWith("_scale_inv") && dtype == DType.F32) {
            return DEVIATION;
        }
        return null;
    }

    private static void fillConstant(MemorySegment data, DType dtype, float value, long elements) {
        float[] values = new float[(int) Math.min(elements, CHUNK_ELEMENTS)];
        Arrays.fill(values, value);
        MemorySegment chunk = encode(values, dtype);
        for (long at = 0; at < data.byteSize(); at += chunk.byteSize()) {
            long bytes = Math.min(chunk.byteSize(), data.byteSize() - at);
            MemorySegment.copy(chunk, 0, data, at, bytes);
        }
    }

    private void fillRandom(String name, MemorySegment data, DType dtype, long elements) {
        MemorySegment table = tables.computeIfAbsent(dtype, this::table);
        long start = mix(seed ^ (long) name.hashCode() << 32 ^ name.length());
        long chunks = (elements + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
        long elementBytes = dtype.bytes();
        LongStream range = LongStream.range(0, chunks);
        (chunks > 64 ? range.parallel() : range).forEach(chunk -> {
            long first = chunk * CHUNK_ELEMENTS;
            long count = Math.min(CHUNK_ELEMENTS, elements - first);
            long place = Long.remainderUnsigned(mix(start + chunk), TABLE_ELEMENTS - CHUNK_ELEMENTS);
            MemorySegment.copy(table, place * elementBytes, data, first * elementBytes, count * elementBytes);
        });
    }

    private MemorySegment table(DType dtype) {
        Random random = new Random(seed);
        // F8 matrices are multiplied by block scales of DEVIATION, so that they are normal with deviation 1 here.
        float deviation = dtype == DType.F8_E4M3 ? 1 : DEVIATION;
        float[] values = new float[TABLE_ELEMENTS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian() * deviation;
        }
        return encode(values, dtype);
    }

    private static MemorySegment encode(float[] values, DType dtype) {
        if (dtype != DType.F8_E4M3) {
            return StoredTensor.of("", dtype, values, values.length).data();
        }
        MemorySegment data = MemorySegment.ofArray(new byte[values.length]);
        for (int i = 0; i < values.length; i++) {
            data.set(ValueLayout.JAVA_BYTE, i, e4m3(values[i]));
        }
        return data;
    }

    /** Truncating F8_E4M3 of a value below 448; good enough for random numbers. */
    private static byte e4m3(float value) {
        int sign = value < 0 ? 0x80 : 0;
        float magnitude = Math.abs(value);
        if (magnitude < 0x1p-6f) {
            return (byte) (sign | (int) (magnitude * 512));
        }
        int exponent = Math.getExponent(magnitude);
        int mantissa = (int) (magnitude / Math.scalb(1f, exponent) * 8) - 8;
        return (byte) (sign | exponent + 7 << 3 | mantissa);
    }

    private static long mix(long value) {
        long z = value + 0x9E3779B97F4A7C15L;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    @Override
    public String toString() {
        return "dummy weights";
    }
}
