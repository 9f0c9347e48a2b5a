package dev.baton.engine.forward;

import dev.baton.engine.schedule.StepPlan;

/** Follows a step layer by layer on the rank's thread, so that a transfer can send while the rest is computed. */
@FunctionalInterface
public interface LayerListener {
    /** Nobody listens. */
    LayerListener NONE = (plan, layer) -> {};

    /**
     * The cache rows that the plan adds to {@code layer} are written (on a device with a queue: their writing is
     * queued). Must hand on and return.
     */
    void afterLayer(StepPlan plan, int layer);
}
