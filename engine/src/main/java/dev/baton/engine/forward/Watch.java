package dev.baton.engine.forward;

import dev.baton.engine.forward.RankObserver.Phase;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.ToolRanges;
import org.jspecify.annotations.Nullable;

/**
 * Who watches a rank's steps, if anybody does.
 *
 * @param operators whether the observer sees them operator by operator
 * @param ranges of a tool outside
 */
record Watch(
        @Nullable RankObserver observer,
        boolean operators,
        @Nullable ToolRanges ranges) {
    /** @param observer that has its device */
    static Watch of(@Nullable RankObserver observer, Device device) {
        return new Watch(observer, observer != null && observer.watchesOperators(), device.toolRanges());
    }

    void stepBegan(StepPlan plan) {
        if (ranges != null) {
            ranges.push(plan.title());
        }
        if (observer != null) {
            observer.stepBegan(plan);
        }
    }

    /** What the host does for a step is done. */
    void stepEnded(StepPlan plan, PendingStep step) {
        if (operators) {
            step.await();
        }
        if (observer != null) {
            observer.stepEnded(plan, step);
        }
    }

    /** Behind {@link #stepEnded}, and behind a step that failed. */
    void stepLeft() {
        if (ranges != null) {
            ranges.pop();
        }
    }

    void began(Phase phase) {
        if (ranges != null) {
            ranges.push(phase.title());
        }
        if (observer != null) {
            observer.phaseBegan(phase);
        }
    }

    void ended(Phase phase) {
        if (observer != null) {
            observer.phaseEnded(phase);
        }
        if (ranges != null) {
            ranges.pop();
        }
    }
}
