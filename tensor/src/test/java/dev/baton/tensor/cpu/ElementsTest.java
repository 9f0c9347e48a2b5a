package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.model.Float8;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class ElementsTest {
    @Test
    void e4m3HasTheStatedCorners() {
        assertThat(Float8.e4m3ToFloat((byte) 0x7e)).isEqualTo(448f);
        assertThat(Float8.e4m3ToFloat((byte) 0xfe)).isEqualTo(-448f);
        assertThat(Float8.e4m3ToFloat((byte) 0x01)).isEqualTo(0x1p-9f);
        assertThat(Float8.e4m3ToFloat((byte) 0x08)).isEqualTo(0x1p-6f);
        assertThat(Float8.e4m3ToFloat((byte) 0x38)).isEqualTo(1f);
        assertThat(Float8.e4m3ToFloat((byte) 0x7f)).isNaN();
        assertThat(Float8.e4m3ToFloat((byte) 0xff)).isNaN();
    }

    @Test
    void everyE4m3CodeBecomesTheSameFloatInAVectorAndAlone() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment codes = arena.allocate(256 + 5);
            MemorySegment floats = arena.allocate(4 * (256 + 5));
            for (int i = 0; i < 256 + 5; i++) {
                codes.set(ValueLayout.JAVA_BYTE, i, (byte) i);
            }
            MatrixRows.toFloats(DType.F8_E4M3, codes.address(), 256 + 5, floats.address(), 256 + 5);
            for (int i = 0; i < 256 + 5; i++) {
                float expected = Float8.e4m3ToFloat((byte) i);
                assertThat(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i)).isEqualTo(Float.valueOf(expected));
            }
        }
    }

    @Test
    void roundingInPlaceGivesWhatBf16Holds() {
        float[] values = {1.00390625f, 1.01171875f, -3.3f, 0, -0f, 1e-40f, 3e38f, Float.MAX_VALUE, Float.NaN};
        try (Arena arena = Arena.ofConfined()) {
            int count = 37;
            MemorySegment row = arena.allocate(4L * count);
            for (int i = 0; i < count; i++) {
                row.setAtIndex(ValueLayout.JAVA_FLOAT, i, values[i % values.length]);
            }
            MatrixRows.roundToBf16(row.address(), count);
            for (int i = 0; i < count; i++) {
                float expected = Elements.bf16ToFloat(Elements.floatToBf16(values[i % values.length]));
                assertThat(row.getAtIndex(ValueLayout.JAVA_FLOAT, i)).isEqualTo(Float.valueOf(expected));
            }
        }
    }

    @Test
    void bf16RoundsToNearestEven() {
        assertThat(Elements.floatToBf16(1f)).isEqualTo((short) 0x3f80);
        assertThat(Elements.floatToBf16(Float.intBitsToFloat(0x3f808000))).isEqualTo((short) 0x3f80);
        assertThat(Elements.floatToBf16(Float.intBitsToFloat(0x3f818000))).isEqualTo((short) 0x3f82);
        assertThat(Elements.floatToBf16(Float.intBitsToFloat(0x3f808001))).isEqualTo((short) 0x3f81);
        assertThat(Elements.floatToBf16(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
        assertThat(Elements.bf16ToFloat(Elements.floatToBf16(Float.intBitsToFloat(0x7fffffff))))
                .isNaN();
        for (int bits = 0; bits < 0x10000; bits++) {
            float value = Elements.bf16ToFloat((short) bits);
            if (!Float.isNaN(value)) {
                assertThat(Elements.floatToBf16(value)).isEqualTo((short) bits);
            }
        }
    }
}
