package dev.baton.engine.arch;

import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.Weight;
import java.util.ArrayList;
import java.util.List;

/**
 * One rank's experts of one layer, slot by slot; a slot's weights may be replaced between two steps, on the rank's
 * thread.
 */
public final class LocalExperts {
    private final int layer;
    private final ExpertShard shard;
    private ExpertWeights weights;

    LocalExperts(int layer, ExpertShard shard, ExpertWeights weights) {
        this.layer = layer;
        this.shard = shard;
        this.weights = weights;
    }

    /** Layer of the model. */
    public int layer() {
        return layer;
    }

    /** Which slots and columns these are. */
    public ExpertShard shard() {
        return shard;
    }

    /** What the slots hold now. */
    public ExpertWeights weights() {
        return weights;
    }

    /**
     * Puts other weights of the same shapes into a slot.
     *
     * @param slot of this rank, 0 to count - 1
     */
    public void replace(int slot, Weight gate, Weight up, Weight down) {
        weights = new ExpertWeights(
                weights.firstExpert(),
                with(weights.gate(), slot, gate),
                with(weights.up(), slot, up),
                with(weights.down(), slot, down));
    }

    private static List<Weight> with(List<Weight> all, int slot, Weight other) {
        List<Weight> changed = new ArrayList<>(all);
        changed.set(slot, other);
        return changed;
    }
}
