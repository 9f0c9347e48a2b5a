package dev.baton.engine.forward;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Where the tensors of a rank's KV cache lie. */
@FunctionalInterface
public interface KvMemory {
    /** The device's own memory. */
    KvMemory DEVICE = (device, dtype, slots, widths) -> {
        List<Tensor> tensors = new ArrayList<>();
        for (int width : widths) {
            tensors.add(device.allocate(dtype, slots, width));
        }
        return tensors;
    };

    /**
     * Zeroed tensors [slots, widths[i]] that the device's operators can use and that outlive the device; called once a
     * rank, on its thread.
     */
    List<Tensor> allocate(Device device, DType dtype, long slots, int[] widths);
}
