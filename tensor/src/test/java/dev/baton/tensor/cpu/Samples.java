package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Random tensors of every kind, the same for the same seed. */
final class Samples {
    private final Arena arena;
    private final Random random;

    Samples(Arena arena, long seed) {
        this.arena = arena;
        this.random = new Random(seed);
    }

    Random random() {
        return random;
    }

    int between(int low, int high) {
        return low + random.nextInt(high - low + 1);
    }

    /** Values around zero, rows {@code stride} elements apart; gaps hold NaN where the format has one. */
    Tensor floats(DType dtype, int rows, int columns, int stride) {
        MemorySegment memory = arena.allocate((long) Math.max(1, rows) * stride * dtype.bytes(), 64);
        memory.fill((byte) 0xff);
        Tensor tensor = new Tensor(memory, dtype, stride, rows, columns);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < columns; i++) {
                set(tensor, (long) row * stride + i, random.nextFloat() * 2 - 1);
            }
        }
        return tensor;
    }

    Tensor floats(int rows, int columns) {
        return floats(DType.F32, rows, columns, columns + random.nextInt(3) * 5);
    }

    private void set(Tensor tensor, long index, float value) {
        switch (tensor.dtype()) {
            case F32 -> tensor.memory().set(ValueLayout.JAVA_FLOAT, index * 4, value);
            case BF16 -> tensor.memory().set(ValueLayout.JAVA_SHORT, index * 2, Elements.floatToBf16(value));
            case F16 -> tensor.memory().set(ValueLayout.JAVA_SHORT, index * 2, Float.floatToFloat16(value));
            case F8_E4M3 ->
                tensor.memory().set(ValueLayout.JAVA_BYTE, index, (byte)
                        (random.nextInt(0x70) | (random.nextBoolean() ? 0x80 : 0)));
            case F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL -> throw new IllegalArgumentException(tensor.toString());
        }
    }

    Tensor vector(DType dtype, int n) {
        Tensor row = floats(dtype, 1, n, n);
        return Tensor.dense(row.memory(), dtype, n);
    }

    Tensor ints(int... values) {
        MemorySegment memory = arena.allocate(4L * Math.max(1, values.length), 64);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_INT, 0, values.length);
        return Tensor.dense(memory, DType.I32, values.length);
    }

    Tensor intMatrix(int rows, int columns) {
        return Tensor.dense(arena.allocate(4L * rows * columns, 64), DType.I32, rows, columns);
    }

    int[] distinct(int count, int bound) {
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < bound; i++) {
            all.add(i);
        }
        Collections.shuffle(all, random);
        return all.stream().limit(count).mapToInt(Integer::intValue).toArray();
    }

    int[] below(int count, int bound) {
        return random.ints(count, 0, bound).toArray();
    }

    /** A tensor of the same shape, stride and bits in memory of its own. */
    Tensor copy(Tensor tensor) {
        MemorySegment memory = arena.allocate(tensor.memory().byteSize(), 64);
        memory.copyFrom(tensor.memory());
        return new Tensor(memory, tensor.dtype(), tensor.rowStride(), tensor.shape());
    }

    /** Sequences with these new tokens and contexts, their positions at random distinct slots. */
    AttentionBatch batch(int[] newTokens, int[] contexts, int slots) {
        int sequences = newTokens.length;
        int longest = 0;
        int most = 0;
        int[] starts = new int[sequences + 1];
        for (int b = 0; b < sequences; b++) {
            starts[b + 1] = starts[b] + newTokens[b];
            longest = Math.max(longest, contexts[b]);
            most = Math.max(most, newTokens[b]);
        }
        int[] rows = distinct(sequences, sequences + 2);
        Tensor table = intMatrix(sequences + 2, longest);
        table.memory().fill((byte) 0xff);
        for (int b = 0; b < sequences; b++) {
            int[] own = distinct(contexts[b], slots);
            for (int p = 0; p < own.length; p++) {
                Elements.setInt(table, rows[b], p, own[p]);
            }
        }
        return new AttentionBatch(sequences, ints(starts), ints(contexts), ints(rows), table, most, longest);
    }

    static float[] values(Tensor tensor) {
        float[] values = new float[(int) tensor.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = Elements.get(tensor, i / tensor.columns(), i % tensor.columns());
        }
        return values;
    }

    static int[] bits(Tensor tensor) {
        float[] values = values(tensor);
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    static int[] intValues(Tensor tensor) {
        int[] values = new int[(int) tensor.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = Elements.getInt(tensor, i / tensor.columns(), i % tensor.columns());
        }
        return values;
    }
}
