package dev.baton.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class RopeTest {
    private static final RopeScaling.Yarn V3 = new RopeScaling.Yarn(40, 4096, 32, 1, 1.0, 1.0, null, true);

    private static Rope rope(int dim, double theta, RopeScaling scaling) {
        return Rope.of(new RopeConfig(dim, theta, false, scaling));
    }

    @Test
    void plainFrequenciesAreThePowersOfTheta() {
        float[] frequencies = rope(64, 10000, new RopeScaling.None()).inverseFrequencies();
        assertThat(frequencies).hasSize(32);
        for (int i = 0; i < 32; i++) {
            assertThat(frequencies[i]).isCloseTo((float) Math.pow(10000, -2.0 * i / 64), within(1e-7f));
        }
    }

    @Test
    void llama3KeepsShortWavelengthsSmoothsTheMiddleAndDividesLongOnes() {
        float[] plain = rope(128, 5e5, new RopeScaling.None()).inverseFrequencies();
        float[] scaled = rope(128, 5e5, new RopeScaling.Llama3(8, 1, 4, 8192)).inverseFrequencies();
        for (int i = 0; i < 64; i++) {
            float ratio = scaled[i] / plain[i];
            if (i <= 28) {
                assertThat(ratio).as("dimension %d", i).isEqualTo(1f);
            } else if (i >= 35) {
                assertThat(ratio).as("dimension %d", i).isCloseTo(1 / 8f, within(1e-6f));
            } else {
                assertThat(ratio).as("dimension %d", i).isStrictlyBetween(1 / 8f, 1f);
            }
        }
    }

    @Test
    void yarnOfDeepSeekV3InterpolatesFromDimension10To23() {
        RopeConfig config = new RopeConfig(64, 10000, true, V3);
        assertThat(Rope.yarnLow(config, V3)).isEqualTo(10);
        assertThat(Rope.yarnHigh(config, V3)).isEqualTo(23);
        float[] plain = rope(64, 10000, new RopeScaling.None()).inverseFrequencies();
        float[] scaled = Rope.of(config).inverseFrequencies();
        for (int i = 0; i < 32; i++) {
            float ratio = scaled[i] / plain[i];
            if (i <= 10) {
                assertThat(ratio).as("dimension %d", i).isEqualTo(1f);
            } else if (i >= 23) {
                assertThat(ratio).as("dimension %d", i).isCloseTo(1 / 40f, within(1e-7f));
            } else {
                double ramp = (i - 10) / 13.0;
                assertThat(ratio).as("dimension %d", i).isCloseTo((float) (ramp / 40 + 1 - ramp), within(1e-6f));
            }
        }
    }

    @Test
    void yarnMagnitudeIsTheRatioWhenBothScalesAreGivenAndGrowsWithTheFactorOtherwise() {
        assertThat(rope(64, 1e4, V3).attentionFactor()).isEqualTo(1f);
        RopeScaling.Yarn generic = new RopeScaling.Yarn(4, 32768, 32, 1, null, null, null, true);
        assertThat(rope(128, 1e6, generic).attentionFactor()).isCloseTo((float) (0.1 * Math.log(4) + 1), within(1e-6f));
        RopeScaling.Yarn given = new RopeScaling.Yarn(4, 32768, 32, 1, null, null, 1.5, true);
        assertThat(rope(128, 1e6, given).attentionFactor()).isEqualTo(1.5f);
        RopeScaling.Yarn oneScale = new RopeScaling.Yarn(40, 4096, 32, 1, 0.707, null, null, true);
        assertThat(rope(64, 1e4, oneScale).attentionFactor())
                .isCloseTo((float) (0.1 * Math.log(40) + 1), within(1e-6f));
    }

    @Test
    void tableRowsHoldCosinesThenSinesTimesTheAttentionFactor() {
        RopeScaling.Yarn scaling = new RopeScaling.Yarn(4, 64, 32, 1, null, null, 2.0, true);
        Rope rope = rope(8, 10000, scaling);
        float[] table = rope.table(5);
        assertThat(table).hasSize(40);
        for (int position = 0; position < 5; position++) {
            for (int i = 0; i < 4; i++) {
                double angle = position * rope.inverseFrequencies()[i];
                assertThat(table[position * 8 + i]).isCloseTo((float) (2 * Math.cos(angle)), within(1e-6f));
                assertThat(table[position * 8 + 4 + i]).isCloseTo((float) (2 * Math.sin(angle)), within(1e-6f));
            }
        }
    }
}
