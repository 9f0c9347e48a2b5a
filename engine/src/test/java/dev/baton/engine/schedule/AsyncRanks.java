package dev.baton.engine.schedule;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/** {@link FakeRanks} on a thread of its own, as a real executor would be. */
public final class AsyncRanks implements StepExecutor {
    private final FakeRanks ranks;
    private final ExecutorService thread;
    private final Consumer<StepPlan> before;
    public final AtomicLong steps = new AtomicLong();
    public final AtomicBoolean closed = new AtomicBoolean();

    /** @param before runs on the rank's thread before each step; may block or throw */
    public AsyncRanks(int vocabulary, int capacity, int rows, int context, Consumer<StepPlan> before) {
        this.ranks = new FakeRanks(new FakeModel(vocabulary), capacity, rows, context);
        this.before = before;
        this.thread = Executors.newSingleThreadExecutor(
                Thread.ofPlatform().name("fake-rank").daemon().factory());
    }

    @Override
    public int capacityTokens() {
        return ranks.capacity;
    }

    @Override
    public int maxRows() {
        return ranks.rows;
    }

    @Override
    public int contextTokens() {
        return ranks.context;
    }

    @Override
    public CompletableFuture<StepResult> run(StepPlan plan) {
        return CompletableFuture.supplyAsync(
                () -> {
                    before.accept(plan);
                    steps.incrementAndGet();
                    return ranks.execute(plan);
                },
                thread);
    }

    @Override
    public CompletableFuture<Void> runBetweenSteps(RankTask task) {
        return CompletableFuture.runAsync(
                () -> {
                    try {
                        task.run(0);
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                },
                thread);
    }

    @Override
    public void close() {
        closed.set(true);
        thread.shutdownNow();
    }

    /** What the engine must answer. */
    public static java.util.List<Integer> answer(
            int vocabulary, int[] prompt, dev.baton.protocol.SamplingParams sampling) {
        return new FakeModel(vocabulary).answer(prompt, sampling, java.util.Set.of());
    }
}
