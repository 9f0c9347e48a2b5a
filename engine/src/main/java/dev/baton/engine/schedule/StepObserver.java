package dev.baton.engine.schedule;

/** Told of every step of a rank group, on its scheduler's thread: for profiles and counters. Must be quick. */
public interface StepObserver {
    /** Before the plan is handed to the executor; its {@code step} counts from 1 over the life of the scheduler. */
    default void beforeStep(StepPlan plan) {}

    /** After the step's results were applied; with overlap the next step has been launched by then. */
    default void afterStep(StepPlan plan, StepResult result) {}
}
