package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/**
 * Where the experts of each MoE layer lie: a layer has physical slots, an equal part of them on each expert-parallel
 * rank, and every slot holds one of the model's (logical) experts. One instance a rank; the rank's thread calls it.
 */
public interface ExpertPlacement {
    /** Slot e holds expert e. */
    ExpertPlacement IDENTITY = new ExpertPlacement() {};

    /** Slots of a layer, at least the model's experts. */
    default int slots(int experts) {
        return experts;
    }

    /** The expert whose weights are loaded into a slot when the rank starts. */
    default int expertOf(int layer, int slot) {
        return slot;
    }

    /** Whether the gate's scores are replaced by an even load, without the correction bias. */
    default boolean isFake() {
        return false;
    }

    /**
     * Replaces the router's scores before the gate, the same on every rank; only where {@link #isFake}.
     *
     * @param layer of the model
     * @param scores F32 [T, experts]
     */
    default void fake(int layer, Tensor scores) {}

    /**
     * Follows the gate of every step: turns the chosen experts into slots, in place.
     *
     * @param layer of the model
     * @param ids I32 [T, topK]: experts, -1 for rows without content
     */
    default void place(int layer, Tensor ids) {}
}
