package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.BYTES;
import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Lanes.FLOATS;
import static dev.baton.tensor.cpu.Lanes.INTS;
import static dev.baton.tensor.cpu.Lanes.SHORTS;
import static dev.baton.tensor.cpu.Native.ALL;
import static dev.baton.tensor.cpu.Native.ORDER;

import dev.baton.model.DType;
import dev.baton.model.Float8;
import dev.baton.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Rows of any number format to rows of floats, and floats to bf16. All addresses and strides in bytes. */
final class MatrixRows {
    /** Codes that are looked at together before they are turned into floats. */
    private static final VectorSpecies<Byte> RUNS = ByteVector.SPECIES_PREFERRED;

    private static final int RUN = RUNS.length();

    private MatrixRows() {}

    /** {@code count} elements as floats; elements up to {@code padded} become zero. */
    static void toFloats(DType dtype, long from, int count, long to, int padded) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(ALL, from, ALL, to, 4L * count);
            case BF16 -> bf16ToFloats(from, count, to);
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    Native.setFloat(to + 4L * i, Float.float16ToFloat(ALL.get(Native.SHORT, from + 2L * i)));
                }
            }
            case F8_E4M3 -> e4m3ToFloats(from, count, to, 1);
            case F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, "no floating-point operand of type " + dtype);
        }
        if (padded > count) {
            ALL.asSlice(to + 4L * count, 4L * (padded - count)).fill((byte) 0);
        }
    }

    /**
     * Where a run of codes holds normal numbers alone, as nearly all runs of real weights do, sign, exponent and mantissa are
     * moved to where an F32 has them, and one product makes good the exponent's bias together with the factor. Zeros,
     * subnormal codes and NaN would do that at the price of F32 subnormals, slow on many processors: see {@link #anyCodes}.
     */
    private static void e4m3ToFloats(long from, int count, long to, float factor) {
        MemorySegment source = ALL.asSlice(from, count);
        MemorySegment target = ALL.asSlice(to, 4L * count);
        int i = 0;
        if (BYTES != null) {
            float rebias = factor * 0x1p120f;
            boolean exact = rebias / 0x1p120f == factor && !Float.isInfinite(rebias);
            for (; i <= count - RUN; i += RUN) {
                // 0 and subnormals have magnitudes 0 to 7, NaN 127.
                boolean normal = exact
                        && !ByteVector.fromMemorySegment(RUNS, source, i, ORDER)
                                .add((byte) 1)
                                .and((byte) 0x7f)
                                .compare(VectorOperators.LE, (byte) 8)
                                .anyTrue();
                if (normal) {
                    for (int j = i; j < i + RUN; j += COUNT) {
                        ((IntVector) ByteVector.fromMemorySegment(BYTES, source, j, ORDER)
                                        .convertShape(VectorOperators.B2I, INTS, 0))
                                .lanewise(VectorOperators.LSHL, 20)
                                .and(0x87f00000)
                                .reinterpretAsFloats()
                                .mul(rebias)
                                .intoMemorySegment(target, 4L * j, ORDER);
                    }
                } else {
                    for (int j = i; j < i + RUN; j += COUNT) {
                        anyCodes(source, j, target, factor);
                    }
                }
            }
            for (; i <= count - COUNT; i += COUNT) {
                anyCodes(source, i, target, factor);
            }
        }
        for (; i < count; i++) {
            target.set(Native.FLOAT, 4L * i, Float8.e4m3ToFloat(source.get(ValueLayout.JAVA_BYTE, i)) * factor);
        }
    }

    /**
     * Exponent and mantissa are moved to where an F32 has them and the exponent's bias is made an F32's. That is the
     * value but for subnormal codes, which it takes for {@code 2^-7 (1 + m / 8)} instead of {@code 2^-6 m / 8}: twice the
     * difference to 2^-7 is right. NaN codes are told apart.
     */
    private static void anyCodes(MemorySegment source, int i, MemorySegment target, float factor) {
        IntVector code = ByteVector.fromMemorySegment(BYTES, source, i, ORDER)
                .convertShape(VectorOperators.ZERO_EXTEND_B2I, INTS, 0)
                .reinterpretAsInts();
        IntVector magnitude = code.and(0x7f);
        FloatVector value =
                magnitude.lanewise(VectorOperators.LSHL, 20).add(120 << 23).reinterpretAsFloats();
        FloatVector subnormal = value.sub(0x1p-7f).mul(2);
        value.blend(subnormal, magnitude.compare(VectorOperators.LT, 8).cast(FLOATS))
                .blend(Float.NaN, magnitude.compare(VectorOperators.EQ, 0x7f).cast(FLOATS))
                .reinterpretAsInts()
                .or(code.and(0x80).lanewise(VectorOperators.LSHL, 24))
                .reinterpretAsFloats()
                .mul(factor)
                .intoMemorySegment(target, 4L * i, ORDER);
    }

    private static void bf16ToFloats(long from, int count, long to) {
        MemorySegment source = ALL.asSlice(from, 2L * count);
        MemorySegment target = ALL.asSlice(to, 4L * count);
        int i = 0;
        for (; i <= count - COUNT; i += COUNT) {
            ShortVector.fromMemorySegment(SHORTS, source, 2L * i, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, 4L * i, ORDER);
        }
        for (; i < count; i++) {
            target.set(Native.FLOAT, 4L * i, Elements.bf16ToFloat(source.get(Native.SHORT, 2L * i)));
        }
    }

    /** Rounds to nearest, ties to even; a NaN stays a NaN. */
    static void floatsToBf16(long from, int count, long to) {
        MemorySegment source = ALL.asSlice(from, 4L * count);
        MemorySegment target = ALL.asSlice(to, 2L * count);
        int i = 0;
        for (; i <= count - COUNT; i += COUNT) {
            FloatVector value = FloatVector.fromMemorySegment(FLOATS, source, 4L * i, ORDER);
            IntVector bits = value.reinterpretAsInts();
            IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
            VectorMask<Integer> nan = value.compare(VectorOperators.NE, value).cast(INTS);
            IntVector rounded = bits.add(upper.and(1).add(0x7fff))
                    .lanewise(VectorOperators.LSHR, 16)
                    .blend(upper.or(0x40), nan);
            rounded.convertShape(VectorOperators.I2S, SHORTS, 0)
                    .reinterpretAsShorts()
                    .intoMemorySegment(target, 2L * i, ORDER);
        }
        for (; i < count; i++) {
            target.set(Native.SHORT, 2L * i, Elements.floatToBf16(source.get(Native.FLOAT, 4L * i)));
        }
    }

    /** Rounds floats to what BF16 holds, in place, as {@link #floatsToBf16} does. */
    static void roundToBf16(long row, int count) {
        int i = 0;
        for (; i <= count - COUNT; i += COUNT) {
            FloatVector value = FloatVector.fromMemorySegment(FLOATS, ALL, row + 4L * i, ORDER);
            IntVector bits = value.reinterpretAsInts();
            VectorMask<Float> nan = value.compare(VectorOperators.NE, value);
            bits.add(bits.lanewise(VectorOperators.LSHR, 16).and(1).add(0x7fff))
                    .and(0xffff0000)
                    .reinterpretAsFloats()
                    .blend(Float.NaN, nan)
                    .intoMemorySegment(ALL, row + 4L * i, ORDER);
        }
        for (; i < count; i++) {
            long address = row + 4L * i;
            Native.setFloat(address, Elements.bf16ToFloat(Elements.floatToBf16(Native.floatAt(address))));
        }
    }

    /**
     * Part of a row of an F8 matrix as floats, its blocks' scales multiplied in.
     *
     * @param from the part's first element, at column {@code column} of the matrix
     * @param scales the row's scales, that of column 0 first
     */
    static void scaledToFloats(long from, int column, int count, long to, int padded, long scales) {
        int done = 0;
        while (done < count) {
            int block = (column + done) / ScalarOps.SCALE_BLOCK;
            int end = Math.min(count, (block + 1) * ScalarOps.SCALE_BLOCK - column);
            e4m3ToFloats(from + done, end - done, to + 4L * done, Native.floatAt(scales + 4L * block));
            done = end;
        }
        if (padded > count) {
            ALL.asSlice(to + 4L * count, 4L * (padded - count)).fill((byte) 0);
        }
    }
}
