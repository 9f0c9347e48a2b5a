package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.tensor.TensorException;
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

    @Test
    void memoryThatRunsOutWhileLoadingIsAnErrorWithItsFigures() {
        TensorException full = new TensorException(
                TensorException.Code.OUT_OF_MEMORY, "cannot allocate 5 bytes; lower --max-total-tokens");
        assertThat(MemoryPlan.weightsDoNotFit(3 * GIB, 4 * GIB, full))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("after 3.00 GiB of them on a device with 4.00 GiB free: cannot allocate 5 bytes")
                .hasMessageContaining("--tp-size");
        assertThat(MemoryPlan.of(10 * GIB, 0.5, 3 * GIB, GIB, 1 << 20).explain("buffers do not fit", full))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("buffers do not fit: 10.00 GiB of memory * 0.500")
                .hasMessageContaining("lower --max-total-tokens");
        TensorException fault = new TensorException(TensorException.Code.FAULT, "broken");
        assertThat(MemoryPlan.weightsDoNotFit(3 * GIB, 4 * GIB, fault)).isSameAs(fault);
    }
}
