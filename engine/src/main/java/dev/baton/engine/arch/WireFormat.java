package dev.baton.engine.arch;

import dev.baton.model.Float8;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** How a token's hidden state travels to the ranks of its experts. Host memory only. */
public enum WireFormat {
    /** As it is. */
    F32 {
        @Override
        int bytes(int columns) {
            return 4 * columns;
        }

        @Override
        void encode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            MemorySegment.copy(from, at, to, target, 4L * columns);
        }

        @Override
        void decode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            MemorySegment.copy(from, at, to, target, 4L * columns);
        }
    },
    /** Rounded to 16 bits, ties to even. */
    BF16 {
        @Override
        int bytes(int columns) {
            return (2 * columns + 3) / 4 * 4;
        }

        @Override
        void encode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            for (int i = 0; i < columns; i++) {
                int bits = from.get(ValueLayout.JAVA_INT_UNALIGNED, at + 4L * i);
                boolean isNan = (bits & 0x7FFFFFFF) > 0x7F800000;
                int rounded = isNan ? bits >>> 16 | 0x40 : bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
                to.set(ValueLayout.JAVA_SHORT_UNALIGNED, target + 2L * i, (short) rounded);
            }
        }

        @Override
        void decode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            for (int i = 0; i < columns; i++) {
                int bits = from.get(ValueLayout.JAVA_SHORT_UNALIGNED, at + 2L * i) << 16;
                to.set(ValueLayout.JAVA_INT_UNALIGNED, target + 4L * i, bits);
            }
        }
    },
    /** E4M3 codes with one F32 scale for every 128 columns: {@code s = max(|x|) / 448, code = x / s}. */
    FP8 {
        @Override
        int bytes(int columns) {
            return (columns + 3) / 4 * 4 + 4 * groups(columns);
        }

        @Override
        void encode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            long scales = target + (columns + 3) / 4 * 4;
            for (int g = 0; g < groups(columns); g++) {
                int end = Math.min(columns, (g + 1) * GROUP);
                float most = SMALLEST;
                for (int i = g * GROUP; i < end; i++) {
                    most = Math.max(most, Math.abs(from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + 4L * i)));
                }
                float scale = most / Float8.E4M3_MAX;
                to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, scales + 4L * g, scale);
                for (int i = g * GROUP; i < end; i++) {
                    float value = from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + 4L * i) / scale;
                    to.set(ValueLayout.JAVA_BYTE, target + i, Float8.floatToE4m3(value));
                }
            }
        }

        @Override
        void decode(MemorySegment from, long at, int columns, MemorySegment to, long target) {
            long scales = at + (columns + 3) / 4 * 4;
            for (int i = 0; i < columns; i++) {
                float scale = from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, scales + 4L * (i / GROUP));
                float value = Float8.e4m3ToFloat(from.get(ValueLayout.JAVA_BYTE, at + i)) * scale;
                to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, target + 4L * i, value);
            }
        }
    };

    private static final int GROUP = 128;
    /** A group of zeros has a scale all the same. */
    private static final float SMALLEST = 1e-10f;

    private static int groups(int columns) {
        return (columns + GROUP - 1) / GROUP;
    }

    /** Bytes of a row, a multiple of 4. */
    abstract int bytes(int columns);

    /** Writes F32 elements in this format. */
    abstract void encode(MemorySegment from, long at, int columns, MemorySegment to, long target);

    /** Reads them back. */
    abstract void decode(MemorySegment from, long at, int columns, MemorySegment to, long target);

    /** What results come back in: rounded only where tokens were. */
    WireFormat ofResults() {
        return this == F32 ? F32 : BF16;
    }
}
