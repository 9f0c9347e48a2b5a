package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {
    private static final long GIB = 1L << 30;

    @Test
    void theCacheTakesWhatWeightsAndBuffersLeave() {
        MemoryPlan plan = MemoryPlan.of(10 * GIB, 0.5, 3 * GIB, GIB, 1 << 20);
        // 5 GiB - 3 GiB - 1 GiB in slots of 1 MiB, one of them for padding.
        assertThat(plan.fittingTokens()).isEqualTo(1023);
        assertThat(plan.capacityTokens(0, 1_000_000)).isEqualTo(1023);
        assertThat(plan.capacityTokens(0, 500)).isEqualTo(500);
        assertThat(plan.capacityTokens(1023, 500)).isEqualTo(1023);
    }

    @Test
    void tooLittleMemoryIsAnErrorThatSaysWhatToLower() {
        MemoryPlan plan = MemoryPlan.of(10 * GIB, 0.5, 3 * GIB, GIB, 1 << 20);
        assertThatThrownBy(() -> plan.capacityTokens(1024, 500))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining("--max-total-tokens 1024 does not fit")
                .hasMessageContaining("10.00 GiB of memory * 0.500 - 3.00 GiB of weights - 1.00 GiB of buffers")
                .hasMessageContaining("room for 1023 KV tokens of 1048576 bytes");
        MemoryPlan none = MemoryPlan.of(4 * GIB, 0.5, 3 * GIB, GIB, 1 << 20);
        assertThatThrownBy(() -> none.capacityTokens(0, 500))
                .hasMessageContaining("no KV cache fits")
                .hasMessageContaining("raise --mem-fraction-static");
    }
}
