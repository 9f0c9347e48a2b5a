package dev.baton.model.safetensors;

import dev.baton.model.DType;
import dev.baton.model.ModelException;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Where a model's weights come from. Safe for use by several threads; closing it ends the life of every tensor's data. */
public interface WeightSource extends AutoCloseable {
    /** Names of the stored tensors; for random weights, of those made so far. */
    Set<String> names();

    /** Whether {@link #get(String, DType, long...)} can answer; random weights have every name. */
    boolean contains(String name);

    /** The tensor, or null when there is none of that name. */
    @Nullable
    StoredTensor find(String name);

    /**
     * The tensor, checked against the shape that the configuration implies.
     *
     * @param dtypeIfDummy element type that random weights are made of; a stored tensor keeps its own
     * @throws ModelException INVALID_WEIGHTS when there is none of that name, or it has another shape
     */
    default StoredTensor get(String name, DType dtypeIfDummy, long... expectedShape) {
        StoredTensor tensor = find(name);
        if (tensor == null) {
            throw new ModelException(
                    ModelException.Code.INVALID_WEIGHTS,
                    this + " has no tensor \"" + name + "\" (expected shape " + Arrays.toString(expectedShape) + ")");
        }
        if (!Arrays.equals(tensor.shape(), expectedShape)) {
            throw new ModelException(
                    ModelException.Code.INVALID_WEIGHTS,
                    this + ": tensor \"" + name + "\" has shape " + Arrays.toString(tensor.shape())
                            + ", config.json implies " + Arrays.toString(expectedShape));
        }
        return tensor;
    }

    @Override
    void close();
}
