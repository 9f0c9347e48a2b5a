package dev.baton.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.tensor.TensorException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What goes wrong below Baton is told with what to do about it. The driver's answers are made up here, no GPU is needed. */
class DriverErrorsTest {
    @ParameterizedTest
    @CsvSource({
        "2, --mem-fraction-static",
        "2, --max-total-tokens",
        "2, --max-running-requests",
        "2, --context-length",
        "100, --device cpu",
        "209, BATON_KERNEL_CACHE",
        "222, update it",
        "700, started again",
        "802, nvidia-fabricmanager"
    })
    void errorsOfTheDriverComeWithARemedy(int code, String remedy) {
        TensorException told = Cuda.failure("cuMemAlloc of 5 bytes", code, "CUDA_ERROR_X", "its words");
        assertThat(told)
                .hasMessageStartingWith("cuMemAlloc of 5 bytes: CUDA_ERROR_X (its words); ")
                .hasMessageContaining(remedy);
        assertThat(told.code()).isEqualTo(code == 2 ? TensorException.Code.OUT_OF_MEMORY : TensorException.Code.FAULT);
    }

    @Test
    void anErrorWithoutARemedyIsToldAsItIs() {
        assertThat(Cuda.failure("a call", 999, "CUDA_ERROR_UNKNOWN", "unknown"))
                .hasMessage("a call: CUDA_ERROR_UNKNOWN (unknown)");
    }

    @Test
    void aDriverThatIsTooOldIsNamedWithItsVersion() {
        assertThatThrownBy(() -> Gpu.requireVersion(11_080))
                .isInstanceOf(TensorException.class)
                .hasMessageContaining("speaks CUDA 11.8")
                .hasMessageContaining("update the driver");
        Gpu.requireVersion(12_000);
    }

    @Test
    void aLibraryThatIsMissingIsNamedWithWhereToGetIt() {
        assertThatThrownBy(() -> NativeLibrary.open(List.of("libnone.so.7", "libnone.so"), "install the package none"))
                .isInstanceOf(TensorException.class)
                .hasMessage("none of libnone.so.7, libnone.so can be loaded: install the package none");
    }
}
