package dev.baton.model.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.model.DType;
import dev.baton.model.ModelException;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class DummyWeightsTest {
    @Test
    void matricesAreNormalNormsAreOneAndEveryNameDiffers() {
        try (DummyWeights weights = new DummyWeights(1)) {
            float[] q = weights.get("q_proj.weight", DType.BF16, 300, 500).toFloats();
            float[] k = weights.get("k_proj.weight", DType.BF16, 300, 500).toFloats();
            double sum = 0;
            double squares = 0;
            int equal = 0;
            for (int i = 0; i < q.length; i++) {
                sum += q[i];
                squares += (double) q[i] * q[i];
                equal += q[i] == k[i] ? 1 : 0;
            }
            assertThat(sum / q.length).isCloseTo(0, within(5e-4));
            assertThat(Math.sqrt(squares / q.length)).isCloseTo(0.02, within(5e-4));
            assertThat(equal).isLessThan(q.length / 50);
            assertThat(weights.get("model.norm.weight", DType.BF16, 70000).toFloats())
                    .containsOnly(1f);
        }
    }

    @Test
    void sameSeedAndNameGiveTheSameValues() {
        try (DummyWeights one = new DummyWeights(7);
                DummyWeights two = new DummyWeights(7);
                DummyWeights other = new DummyWeights(8)) {
            two.get("another", DType.BF16, 10);
            float[] values = one.get("w", DType.BF16, 40000).toFloats();
            assertThat(two.get("w", DType.BF16, 40000).toFloats()).isEqualTo(values);
            assertThat(other.get("w", DType.BF16, 40000).toFloats()).isNotEqualTo(values);
            assertThat(one.get("w", DType.BF16, 40000).data())
                    .isEqualTo(one.get("w", DType.BF16, 40000).data());
        }
    }

    @Test
    void quantisedMatricesHaveFiniteValuesAndPositiveScales() {
        try (DummyWeights weights = new DummyWeights(1)) {
            StoredTensor matrix = weights.get("o_proj.weight", DType.F8_E4M3, 256, 256);
            for (long i = 0; i < matrix.elements(); i++) {
                assertThat(matrix.data().get(ValueLayout.JAVA_BYTE, i) & 0x7F).isLessThan(0x7F);
            }
            assertThat(weights.get("o_proj.weight_scale_inv", DType.F32, 2, 2).toFloats())
                    .containsOnly(0.02f);
        }
    }

    @Test
    void refusesTheSameNameWithAnotherShape() {
        try (DummyWeights weights = new DummyWeights(1)) {
            weights.get("w", DType.BF16, 4, 4);
            assertThatThrownBy(() -> weights.get("w", DType.BF16, 4, 5))
                    .isInstanceOf(ModelException.class)
                    .hasMessageContainingAll("w", "[4, 4]", "[4, 5]");
        }
    }
}
