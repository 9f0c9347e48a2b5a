package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ElementsTest {
    @Test
    void e4m3HasTheStatedCorners() {
        assertThat(Elements.e4m3ToFloat((byte) 0x7e)).isEqualTo(448f);
        assertThat(Elements.e4m3ToFloat((byte) 0xfe)).isEqualTo(-448f);
        assertThat(Elements.e4m3ToFloat((byte) 0x01)).isEqualTo(0x1p-9f);
        assertThat(Elements.e4m3ToFloat((byte) 0x08)).isEqualTo(0x1p-6f);
        assertThat(Elements.e4m3ToFloat((byte) 0x38)).isEqualTo(1f);
        assertThat(Elements.e4m3ToFloat((byte) 0x7f)).isNaN();
        assertThat(Elements.e4m3ToFloat((byte) 0xff)).isNaN();
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
