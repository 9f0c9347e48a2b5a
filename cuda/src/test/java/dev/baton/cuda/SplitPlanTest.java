package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.cuda.SplitProduct.Plan;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How products of decode steps are divided among blocks; needs no GPU. */
class SplitPlanTest {
    /** Of an H100 and an H200. */
    private static final int MULTIPROCESSORS = 132;
    /** Of a block of theirs, less a page for what is static. */
    private static final int SHARED_BYTES = (227 << 10) - 4096;

    /** Products of Qwen2.5-3B, Llama-3.1-8B and Qwen2.5-7B. */
    @ParameterizedTest
    @CsvSource({
        "32, 2048, 2048, 1, 4",
        "64, 2048, 2048, 1, 4",
        "64, 2560, 2048, 1, 3",
        "64, 2048, 11008, 1, 4",
        "32, 6144, 4096, 3, 4",
        "32, 4096, 4096, 1, 2",
        "128, 4096, 14336, 2, 4",
        "64, 3584, 3584, 1, 2",
        "128, 2048, 2048, 1, 4",
        "256, 2048, 11008, 1, 4"
    })
    void blocksFillTheGpuOnce(int tokens, int n, int k, int groups, int slices) {
        Plan plan = Objects.requireNonNull(SplitProduct.plan(MULTIPROCESSORS, tokens, n, k));
        assertThat(plan.groups()).isEqualTo(groups);
        assertThat(plan.slices()).isEqualTo(slices);
        assertThat((n + plan.rows() - 1) / plan.rows() * slices).isLessThanOrEqualTo(MULTIPROCESSORS);
        assertThat(plan.tokens()).isGreaterThanOrEqualTo(tokens);
        assertThat(plan.sharedBytes(k)).isLessThanOrEqualTo(SHARED_BYTES);
    }

    @Test
    void whereTheLibraryIsAsFastThereIsNone() {
        // Parts of a short k cost more than the weights.
        assertThat(SplitProduct.plan(MULTIPROCESSORS, 256, 2048, 2048)).isNull();
        assertThat(SplitProduct.plan(MULTIPROCESSORS, 256, 2560, 2048)).isNull();
        // Multiprocessors would idle.
        assertThat(SplitProduct.plan(MULTIPROCESSORS, 64, 256, 512)).isNull();
        assertThat(SplitProduct.plan(MULTIPROCESSORS, 64, 151936, 2048)).isNull();
    }
}
