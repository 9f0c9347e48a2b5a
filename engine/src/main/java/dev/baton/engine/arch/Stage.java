package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import java.util.List;

/**
 * A pipeline stage: a contiguous part of the layers. Layers divide evenly, and later stages take one more where they do
 * not (as in SGLang: the first stage has the embedding besides); a partition that is given stands.
 *
 * @param index 0 to size - 1
 * @param size stages
 * @param partition layers of each stage; empty for the even division
 */
public record Stage(int index, int size, List<Integer> partition) {
    /** All layers. */
    public static final Stage WHOLE = new Stage(0, 1);

    /** @throws EngineException CONFIGURATION when the partition is not one number for each stage */
    public Stage {
        partition = List.copyOf(partition);
        if (!partition.isEmpty() && partition.size() != size) {
            throw invalid("SGLANG_PP_LAYER_PARTITION " + text(partition) + " names " + partition.size()
                    + " stages, --pp-size is " + size + "; give one number of layers for each stage");
        }
    }

    /** A stage of evenly divided layers. */
    public Stage(int index, int size) {
        this(index, size, List.of());
    }

    /** The same stage of layers that are divided so. */
    public Stage withPartition(List<Integer> layers) {
        return new Stage(index, size, layers);
    }

    /** Holds the embedding. */
    public boolean isFirst() {
        return index == 0;
    }

    /** Holds the final norm and the output projection. */
    public boolean isLast() {
        return index == size - 1;
    }

    /**
     * The first layer of this stage.
     *
     * @param layers of the whole model
     */
    public int firstLayer(int layers) {
        int first = 0;
        for (int stage = 0; stage < index; stage++) {
            first += layersOf(stage, layers);
        }
        return first;
    }

    /**
     * Layers of this stage.
     *
     * @param layers of the whole model
     * @throws EngineException CONFIGURATION when a stage would be empty or the partition is of another model
     */
    public int layers(int layers) {
        int sum = partition.stream().mapToInt(Integer::intValue).sum();
        if (!partition.isEmpty() && (sum != layers || partition.stream().anyMatch(n -> n < 1))) {
            throw invalid("SGLANG_PP_LAYER_PARTITION " + text(partition) + " = " + sum + " layers, the model has "
                    + layers + " (num_hidden_layers); every stage needs at least 1, and their sum is the model's");
        }
        if (size > layers) {
            throw invalid("--pp-size " + size + " is more than the model's " + layers
                    + " layers (num_hidden_layers): " + layers + " / " + size + " leaves a stage empty; choose at most "
                    + layers);
        }
        return layersOf(index, layers);
    }

    private int layersOf(int stage, int layers) {
        if (!partition.isEmpty()) {
            return partition.get(stage);
        }
        return layers / size + (stage >= size - layers % size ? 1 : 0);
    }

    private static String text(List<Integer> partition) {
        return String.join(",", partition.stream().map(String::valueOf).toList());
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
