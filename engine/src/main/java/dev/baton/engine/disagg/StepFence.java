package dev.baton.engine.disagg;

import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.util.ArrayDeque;

/**
 * Holds back what must not happen before the steps in flight have ended. A step that was launched while a request still
 * ran writes that request's slot even when the request has ended meanwhile and the slot has a new owner. Local writes of
 * the new owner come later in any case; those of another process do not. On the scheduler's thread.
 */
final class StepFence implements StepObserver {
    private record Held(long step, Runnable action) {}

    private final ArrayDeque<Held> held = new ArrayDeque<>();
    private long launched;
    private long ended;

    /** Runs the action when every step launched so far has ended: now, or after one of the next results. */
    void afterLaunched(Runnable action) {
        if (ended == launched) {
            action.run();
        } else {
            held.addLast(new Held(launched, action));
        }
    }

    @Override
    public void beforeStep(StepPlan plan) {
        launched = plan.step();
    }

    @Override
    public void afterStep(StepPlan plan, StepResult result) {
        ended = plan.step();
        while (!held.isEmpty() && held.peekFirst().step <= ended) {
            held.removeFirst().action.run();
        }
    }
}
