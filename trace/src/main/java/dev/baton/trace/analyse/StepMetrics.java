package dev.baton.trace.analyse;

import dev.baton.trace.step.Step;

/**
 * The figures of one step. Unions count time once however many kernels run in it; sums count every kernel.
 *
 * @param step they belong to
 * @param kernels pieces of device work
 * @param computeNanos union of all work that is no communication
 * @param commNanos union of communication
 * @param overlapNanos time in which both run
 * @param idleNanos step minus the union of all its work
 * @param dispatchNanos sum over dispatch kernels
 * @param combineNanos sum over combine kernels
 * @param allReduceNanos sum over all-reduce kernels
 * @param sendRecvNanos sum over point-to-point kernels
 */
public record StepMetrics(
        Step step,
        int kernels,
        long computeNanos,
        long commNanos,
        long overlapNanos,
        long idleNanos,
        long dispatchNanos,
        long combineNanos,
        long allReduceNanos,
        long sendRecvNanos) {
    /** Communication behind which no computation runs. */
    public long exposedNanos() {
        return commNanos - overlapNanos;
    }
}
