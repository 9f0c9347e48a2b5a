package dev.baton.engine.forward;

import dev.baton.engine.schedule.StepPlan;

/** Sees every row of logits that rank 0 computes: for checks against stored logits. */
@FunctionalInterface
public interface LogitsListener {
    /**
     * @param sequence b of the plan
     * @param position of the token whose successor the logits tell
     * @param logits [vocabulary]; reused after the call
     */
    void logits(StepPlan plan, int sequence, int position, float[] logits);
}
