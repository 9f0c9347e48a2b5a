package dev.baton.bench.schedule;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Ranks that answer at once with a fixed token: what remains is the scheduler's own work. */
record FreeExecutor(int capacityTokens, int maxRows, int contextTokens) implements StepExecutor {
    @Override
    @SuppressWarnings({"unchecked", "rawtypes"})
    public CompletableFuture<StepResult> run(StepPlan plan) {
        int n = plan.sequences();
        int[] next = new int[n];
        for (int b = 0; b < n; b++) {
            next[b] = plan.samples()[b] ? 7 : -1;
        }
        return CompletableFuture.completedFuture(
                new StepResult(plan.step(), next, new TokenLogprob[n], (List<TokenLogprob>[]) new List[n], 0, 0));
    }

    @Override
    public CompletableFuture<Void> runBetweenSteps(RankTask task) {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public void close() {}
}
