package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.model.Float8;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Single elements of tensors as floats and ints; the definition of every number format used here. */
final class Elements {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    private Elements() {}

    /** Element {@code column} of row {@code row}. */
    static float get(Tensor t, long row, long column) {
        return get(t.memory(), t.dtype(), row * t.rowStride() + column);
    }

    /** Element {@code index} of memory that holds {@code dtype}. */
    static float get(MemorySegment memory, DType dtype, long index) {
        return switch (dtype) {
            case F32 -> memory.get(FLOAT, index * 4);
            case BF16 -> bf16ToFloat(memory.get(SHORT, index * 2));
            case F16 -> Float.float16ToFloat(memory.get(SHORT, index * 2));
            case F8_E4M3 -> Float8.e4m3ToFloat(memory.get(ValueLayout.JAVA_BYTE, index));
            case F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, "no floating-point operand of type " + dtype);
        };
    }

    /** Sets an F32 or BF16 element (rounded to nearest, ties to even). */
    static void set(Tensor t, long row, long column, float value) {
        long index = row * t.rowStride() + column;
        switch (t.dtype()) {
            case F32 -> t.memory().set(FLOAT, index * 4, value);
            case BF16 -> t.memory().set(SHORT, index * 2, floatToBf16(value));
            case F16, F8_E4M3, F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, "cannot write elements of type " + t.dtype());
        }
    }

    /** Element {@code index} of a dense I32 tensor. */
    static int getInt(Tensor t, long index) {
        return t.memory().get(INT, index * 4);
    }

    /** Element of an I32 matrix. */
    static int getInt(Tensor t, long row, long column) {
        return t.memory().get(INT, (row * t.rowStride() + column) * 4);
    }

    static void setInt(Tensor t, long row, long column, int value) {
        t.memory().set(INT, (row * t.rowStride() + column) * 4, value);
    }

    static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Rounds to nearest, ties to even; a NaN stays a (quiet) NaN. */
    static short floatToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > 0x7f800000) {
            return (short) ((bits >>> 16) | 0x40);
        }
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }
}
