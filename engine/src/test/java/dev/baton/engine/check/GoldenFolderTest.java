package dev.baton.engine.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.GoldenComparison.Tolerance;
import dev.baton.engine.parallel.DeviceSupplier;
import dev.baton.model.DType;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GoldenFolderTest {
    private static final DeviceSupplier CPU = Golden.cpu(CpuKernels.VECTOR, 2);

    @ParameterizedTest
    @ValueSource(strings = {Golden.LLAMA_GQA, Golden.LLAMA_TIED, Golden.QWEN2})
    void bothRecordingsOfAFolderPassWithTheirOwnRopeFrequencies(String name) {
        List<GoldenFolder.Line> lines = GoldenFolder.check(Golden.folder(name), GoldenFolder.Options.DEFAULT, CPU);
        assertThat(lines).extracting(GoldenFolder.Line::recording).containsExactly("golden", "exact-rope");
        assertThat(lines)
                .extracting(GoldenFolder.Line::ropePrecision)
                .containsExactly(RopePrecision.BF16, RopePrecision.F32);
        for (GoldenFolder.Line line : lines) {
            assertThat(line.result().faults()).isEmpty();
            assertThat(line.result().tokens()).isEqualTo(4 * 24);
            assertThat(line.result().maxAbsError()).isPositive().isLessThan(1e-3);
            assertThat(line.result().maxRelError()).isPositive().isLessThan(1e-3);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {Golden.LLAMA_GQA, Golden.QWEN2})
    void aHalfPrecisionCacheStaysWithinALooserTolerance(String name) {
        GoldenFolder.Options half = GoldenFolder.Options.DEFAULT
                .withLoad(GoldenFolder.Options.DEFAULT
                        .load()
                        .with()
                        .cacheType(DType.BF16)
                        .build())
                .withTolerance(Tolerance.of(0.15));
        for (GoldenFolder.Line line : GoldenFolder.check(Golden.folder(name), half, CPU)) {
            assertThat(line.result().faults()).isEmpty();
            // The cache is really rounded: F32 would be far below.
            assertThat(line.result().maxAbsError()).isGreaterThan(1e-3);
        }
    }

    @Test
    void roundedActivationsStayWithinALooserTolerance() {
        DeviceSupplier rounded =
                (rank, ranks) -> CpuDevice.open(CpuOptions.of(1).withActivations(DType.BF16));
        GoldenFolder.Options half = GoldenFolder.Options.DEFAULT.withTolerance(Tolerance.of(0.25));
        for (GoldenFolder.Line line : GoldenFolder.check(Golden.folder(Golden.QWEN3), half, rounded)) {
            assertThat(line.result().faults()).isEmpty();
            assertThat(line.result().maxAbsError()).isGreaterThan(1e-3);
        }
    }

    @Test
    void aWrongModelFailsWithTheReason() {
        GoldenFolder.Options strict = GoldenFolder.Options.DEFAULT.withTolerance(Tolerance.of(1e-9));
        GoldenFolder.Line line = GoldenFolder.check(Golden.folder(Golden.LLAMA_TIED), strict, CPU)
                .getFirst();
        assertThat(line.result().passed()).isFalse();
        assertThat(line.result().faults().getFirst()).contains("differ by").contains("tolerance 1.0E-9");
    }

    @Test
    void aFolderWithoutRecordingIsAnError(@TempDir Path folder) {
        assertThatThrownBy(() -> GoldenFolder.check(folder, GoldenFolder.Options.DEFAULT, CPU))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("no stored outputs");
    }
}
