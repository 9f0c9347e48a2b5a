package dev.baton.engine.schedule;

import java.util.concurrent.CompletableFuture;

/** Only says how large the ranks are: simulations run the plans themselves. */
record SizedExecutor(int capacityTokens, int maxRows, int contextTokens) implements StepExecutor {
    @Override
    public CompletableFuture<StepResult> run(StepPlan plan) {
        throw new UnsupportedOperationException();
    }

    @Override
    public CompletableFuture<Void> runBetweenSteps(RankTask task) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
