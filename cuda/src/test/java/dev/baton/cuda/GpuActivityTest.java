package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.DeviceSpan.Kind;
import dev.baton.tensor.Graph;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Kernels, copies and calls as CUPTI tells them. */
@Tag("gpu")
class GpuActivityTest {
    /** The device's recorder, at work; skips the test where CUPTI is missing. */
    private static DeviceActivity started(CudaDevice device) {
        DeviceActivity activity = device.activity();
        try {
            activity.start();
        } catch (TensorException e) {
            Assumptions.abort("no CUPTI: " + e.getMessage());
        }
        return activity;
    }

    @Test
    void tellsKernelsAndCopiesWithTheCallsThatQueuedThem() {
        Twin.requireGpu();
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16));
                Arena arena = Arena.ofConfined()) {
            Tensor a = device.allocate(DType.F32, 64, 256);
            Tensor b = device.allocate(DType.F32, 64, 256);
            device.ops().add(a, b);
            device.synchronize();
            DeviceActivity activity = started(device);
            long begin = System.nanoTime();
            for (int i = 0; i < 3; i++) {
                device.ops().add(a, b);
            }
            device.toHost(a, arena.allocate(4L * 64 * 256));
            long end = System.nanoTime();
            List<DeviceSpan> spans = activity.stop();

            List<DeviceSpan> kernels =
                    spans.stream().filter(s -> s.kind() == Kind.KERNEL).toList();
            assertThat(kernels).hasSize(3).allSatisfy(kernel -> {
                assertThat(kernel.name()).isEqualTo("add_float_float");
                assertThat(kernel.grid()).containsExactly(64, 1, 1);
                assertThat(kernel.block()).containsExactly(256, 1, 1);
                // The two clocks are read one after the other.
                assertThat(kernel.startNanos()).isBetween(begin - 200_000, end + 200_000);
                assertThat(kernel.endNanos()).isGreaterThan(kernel.startNanos());
                assertThat(spans)
                        .anyMatch(s -> s.kind() == Kind.CALL
                                && s.correlation() == kernel.correlation()
                                && s.name().startsWith("cuLaunchKernel"));
            });
            assertThat(spans)
                    .filteredOn(s -> s.kind() == Kind.COPY)
                    .singleElement()
                    .satisfies(copy -> {
                        assertThat(copy.name()).isEqualTo("Memcpy DtoH");
                        assertThat(copy.bytes()).isEqualTo(4L * 64 * 256);
                    });

            activity.start();
            assertThat(activity.stop()).isEmpty();
        }
    }

    @Test
    void everyKernelOfAGraphCarriesItsLaunch() {
        Twin.requireGpu();
        try (CudaDevice device = CudaDevice.open(CudaOptions.of(0, DType.BF16))) {
            Tensor a = device.allocate(DType.F32, 64, 256);
            Tensor b = device.allocate(DType.F32, 64, 256);
            device.ops().add(a, b);
            // Recorded before anybody watches, as a server's are.
            Graph graph = device.capture(() -> {
                for (int i = 0; i < 5; i++) {
                    device.ops().add(a, b);
                }
            });
            graph.launch();
            device.synchronize();
            DeviceActivity activity = started(device);
            graph.launch();
            graph.launch();
            List<DeviceSpan> spans = activity.stop();
            graph.close();

            List<DeviceSpan> launches =
                    spans.stream().filter(s -> s.kind() == Kind.GRAPH_LAUNCH).toList();
            assertThat(launches).hasSize(2).allSatisfy(launch -> {
                assertThat(launch.name()).isEqualTo("cudaGraphLaunch");
                assertThat(spans)
                        .filteredOn(s -> s.kind() == Kind.KERNEL && s.correlation() == launch.correlation())
                        .hasSize(5)
                        .allSatisfy(kernel -> {
                            assertThat(kernel.name()).isEqualTo("add_float_float");
                            assertThat(kernel.stream()).isPositive();
                            assertThat(kernel.endNanos()).isGreaterThan(launch.startNanos());
                        });
            });
            assertThat(launches.get(0).correlation())
                    .isNotEqualTo(launches.get(1).correlation());
        }
    }
}
