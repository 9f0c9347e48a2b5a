package dev.baton.model.safetensors;

import dev.baton.model.DType;
import dev.baton.model.Float8;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A tensor as a checkpoint stores it: row-major, little-endian, not necessarily aligned to its element size.
 *
 * @param shape dimensions, empty for a scalar; not to be changed
 * @param data exactly the tensor's bytes; read-only, valid until its {@link WeightSource} is closed
 */
public record StoredTensor(String name, DType dtype, long[] shape, MemorySegment data) {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble F64 =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Product of the dimensions. */
    public long elements() {
        long elements = 1;
        for (long dimension : shape) {
            elements *= dimension;
        }
        return elements;
    }

    /** The elements as f32, in row-major order; for F32, F64, BF16, F16 and F8_E4M3 tensors of fewer than 2^31 elements. */
    public float[] toFloats() {
        float[] values = new float[Math.toIntExact(elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (dtype) {
                case F32 -> data.get(F32, 4L * i);
                case F64 -> (float) data.get(F64, 8L * i);
                case BF16 -> Float.intBitsToFloat(data.get(I16, 2L * i) << 16);
                case F16 -> Float.float16ToFloat(data.get(I16, 2L * i));
                case F8_E4M3 -> Float8.e4m3ToFloat(data.get(ValueLayout.JAVA_BYTE, i));
                case F8_E5M2, I64, I32, I16, I8, U8, BOOL ->
                    throw new IllegalArgumentException(name + " is " + dtype + ", not F32, F64, BF16, F16 or F8_E4M3");
            };
        }
        return values;
    }

    /** A tensor of {@code values} encoded as F32, BF16 (round to nearest even) or F16, in heap memory. */
    public static StoredTensor of(String name, DType dtype, float[] values, long... shape) {
        MemorySegment data = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, dtype.bytes())]);
        for (int i = 0; i < values.length; i++) {
            switch (dtype) {
                case F32 -> data.set(F32, 4L * i, values[i]);
                case BF16 -> data.set(I16, 2L * i, bfloat16(values[i]));
                case F16 -> data.set(I16, 2L * i, Float.floatToFloat16(values[i]));
                case F64, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U8, BOOL ->
                    throw new IllegalArgumentException("cannot encode floats as " + dtype);
            }
        }
        return new StoredTensor(name, dtype, shape, data);
    }

    /** Round to nearest even; NaN stays NaN. */
    static short bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }

    @Override
    public String toString() {
        return name + " " + dtype + Arrays.toString(shape);
    }
}
