package dev.baton.engine.schedule;

/**
 * A plan and whom it is for.
 *
 * @param plan what the ranks execute
 * @param requests [B] in the plan's order
 * @param epochs [B] each request's epoch when the step was planned
 */
record ScheduledStep(StepPlan plan, Request[] requests, int[] epochs) {
    /** True while the result is still for the request: it has neither ended nor been retracted since. */
    boolean concerns(int b) {
        return !requests[b].finished() && requests[b].epoch == epochs[b];
    }
}
