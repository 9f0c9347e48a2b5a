package dev.baton.engine.forward;

import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.tensor.TensorException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A step that a rank has begun. Used on the rank's thread. */
public final class PendingStep {
    private final StepPlan plan;
    private final @Nullable LateChoices choices;
    private @Nullable StepResult result;

    /** A step whose result is there. */
    PendingStep(StepPlan plan, StepResult result) {
        this.plan = plan;
        this.choices = null;
        this.result = result;
    }

    /** A step whose choices the device still has. */
    PendingStep(StepPlan plan, LateChoices choices) {
        this.plan = plan;
        this.choices = choices;
    }

    StepPlan plan() {
        return plan;
    }

    void end(StepResult known) {
        this.result = known;
    }

    /** Whether {@link #await} would not wait; it would not after a failure of the device, either. */
    public boolean isDone() {
        try {
            return result != null || choices == null || choices.passed(this);
        } catch (TensorException failed) {
            return true;
        }
    }

    /**
     * Waits for the result, and for those of steps before.
     *
     * @throws dev.baton.tensor.TensorException FAULT when the device has failed
     */
    public StepResult await() {
        while (result == null && choices != null) {
            choices.collectOldest();
        }
        return Objects.requireNonNull(result);
    }
}
