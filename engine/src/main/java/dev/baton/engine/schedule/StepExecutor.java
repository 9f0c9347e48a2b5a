package dev.baton.engine.schedule;

import java.util.concurrent.CompletableFuture;

/**
 * The ranks of one DP group, as the scheduler sees them. Plans are executed one after the other in the order of the
 * calls; at most a few are in flight.
 */
public interface StepExecutor extends AutoCloseable {
    /** KV slots of each rank, slot 0 not counted: slots 1 to capacity can be given out. */
    int capacityTokens();

    /** Rows of the slot table and token pool. */
    int maxRows();

    /** Positions of a row. */
    int contextTokens();

    /** Queues a step and returns at once; the future fails when a rank fails. */
    CompletableFuture<StepResult> run(StepPlan plan);

    /**
     * Says that the scheduler has nothing to run and waits for no result: ranks that run common steps for several
     * schedulers need not wait for this one until its next plan.
     */
    default void nothingToRun() {}

    /** Whether a queued step has not begun, because other schedulers have not said what they run. */
    default boolean waitsForOthers() {
        return false;
    }

    /** Runs a task on every rank's thread between two steps (profiles, sleeping, weight moves). */
    CompletableFuture<Void> runBetweenSteps(RankTask task);

    @Override
    void close();

    /** Work of one rank between two steps. */
    @FunctionalInterface
    interface RankTask {
        void run(int rank) throws Exception;
    }
}
