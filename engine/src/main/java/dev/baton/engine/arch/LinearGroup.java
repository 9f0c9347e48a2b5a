package dev.baton.engine.arch;

import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Linear layers of one input: one product where the device merges them ({@link Device#merge}), one each otherwise. Its
 * results share a row of one buffer or have buffers of their own.
 */
final class LinearGroup {
    private final List<Weight> weights;
    /** [sum of output features, in]; null when the layers stay apart. */
    private final @Nullable Weight merged;

    /** One a layer, or the shared one. */
    private final List<BufferSpec> buffers;

    private LinearGroup(List<Weight> weights, @Nullable Weight merged, List<BufferSpec> buffers) {
        this.weights = weights;
        this.merged = merged;
        this.buffers = buffers;
    }

    /**
     * @param apart results must be dense, so the layers are not merged
     * @param names of the layers' buffers
     */
    static LinearGroup of(
            Device device, List<Weight> weights, boolean apart, WorkspacePlan workspace, String... names) {
        Weight merged = apart ? null : device.merge(weights);
        List<BufferSpec> buffers = new ArrayList<>();
        if (merged != null) {
            buffers.add(workspace.activations(String.join("+", names), merged.outFeatures()));
        } else {
            for (int i = 0; i < names.length; i++) {
                buffers.add(workspace.activations(names[i], weights.get(i).outFeatures()));
            }
        }
        return new LinearGroup(List.copyOf(weights), merged, List.copyOf(buffers));
    }

    /** [sum of output features, in]; null when the layers stay apart. */
    @Nullable
    Weight merged() {
        return merged;
    }

    /** Where the merged layers leave their results. */
    Tensor mergedResult(Workspace workspace, int rows) {
        return workspace.rows(buffers.getFirst(), rows);
    }

    /**
     * @param x [T, in]
     * @return [T, out] a layer; rows may be strided
     */
    Tensor[] forward(Ops ops, Workspace workspace, Tensor x) {
        Tensor[] results = new Tensor[weights.size()];
        if (merged == null) {
            for (int i = 0; i < results.length; i++) {
                results[i] = workspace.rows(buffers.get(i), x.rows());
                ops.linear(x, weights.get(i), results[i]);
            }
            return results;
        }
        Tensor all = workspace.rows(buffers.getFirst(), x.rows());
        ops.linear(x, merged, all);
        int from = 0;
        for (int i = 0; i < results.length; i++) {
            int count = weights.get(i).outFeatures();
            results[i] = all.columnRange(from, count);
            from += count;
        }
        return results;
    }
}
