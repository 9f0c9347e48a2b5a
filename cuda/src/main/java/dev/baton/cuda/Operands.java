package dev.baton.cuda;

import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Weights in the type that an operator needs. A weight of another type, a block-scaled F8 one too, is converted once,
 * when it is first used, and its copy is kept beside it. The device is waited for then: products ask for weights before the
 * kernel ahead of them has ended.
 */
final class Operands {
    private final CudaDevice device;
    private final Launch launch;
    private final Kernels kernels;
    private final Map<Tensor, Map<DType, Tensor>> converted = new IdentityHashMap<>();

    Operands(CudaDevice device, Launch launch, Kernels kernels) {
        this.device = device;
        this.launch = launch;
        this.kernels = kernels;
    }

    /** Address of a vector's elements as {@code dtype}. */
    long address(Tensor vector, DType dtype) {
        return tensor(vector, dtype).memory().address();
    }

    /** A weight's matrix as {@code dtype}. */
    Tensor matrix(Weight weight, DType dtype) {
        Tensor matrix = weight.matrix();
        if (matrix.dtype() != DType.F8_E4M3) {
            return tensor(matrix, dtype);
        }
        return converted
                .computeIfAbsent(matrix, t -> new EnumMap<>(DType.class))
                .computeIfAbsent(dtype, d -> unscale(matrix, weight.blockScales(), d));
    }

    /** The same values as {@code dtype}: the tensor itself where it has that type. */
    Tensor tensor(Tensor tensor, DType dtype) {
        return tensor.dtype() == dtype
                ? tensor
                : converted
                        .computeIfAbsent(tensor, t -> new EnumMap<>(DType.class))
                        .computeIfAbsent(dtype, d -> convert(tensor, d));
    }

    private Tensor unscale(Tensor from, @Nullable Tensor scales, DType dtype) {
        Tensor to = device.allocate(dtype, from.shape());
        launch.put(from.memory().address())
                .put(from.rowStride())
                .put(scales == null ? 0L : scales.memory().address())
                .put(scales == null ? 0L : scales.rowStride())
                .put(to.memory().address())
                .put(to.rowStride())
                .put(from.columns());
        launch.run(kernels.get(Kernels.Source.ELEMENTS, "unscale_" + Kernels.type(dtype)), from.rows(), 1, 1, 0);
        device.synchronize();
        return to;
    }

    private Tensor convert(Tensor from, DType dtype) {
        Tensor to = device.allocate(dtype, from.shape());
        launch.put(from.memory().address())
                .put(from.rowStride())
                .put(to.memory().address())
                .put(to.rowStride())
                .put(from.columns());
        launch.run(
                kernels.get(Kernels.Source.ELEMENTS, "copy_" + Kernels.type(from.dtype()) + "_" + Kernels.type(dtype)),
                from.rows(),
                1,
                1,
                0);
        device.synchronize();
        return to;
    }

    /** Addresses as a table on the device. */
    long table(long[] addresses) {
        Tensor table = device.allocate(DType.I64, addresses.length);
        try (Arena arena = Arena.ofConfined()) {
            device.toDevice(arena.allocateFrom(ValueLayout.JAVA_LONG, addresses), table);
            device.synchronize();
        }
        return table.memory().address();
    }
}
