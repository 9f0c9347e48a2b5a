package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.forward.LayerListener;
import dev.baton.engine.forward.LogitsListener;
import dev.baton.engine.forward.ModelRunner;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Device;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of one model replica: a daemon thread each, with its own device and communicators. Plans and tasks run on
 * every rank in the order in which they were queued. The first rank of the last pipeline stage chooses the tokens and
 * tells them to the others.
 *
 * <p>When a rank fails in a step, its communicator is aborted, so that no other rank waits for it; that step's future and
 * all later ones fail with the first cause. Futures complete on a rank's thread: dependants must hand on and return.
 */
public final class RankGroup implements StepExecutor {
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(30);

    private final ModelConfig config;
    private final int stages;
    private final List<RankThread> threads = new ArrayList<>();
    private final AtomicReferenceArray<@Nullable Rank> ranks;
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Object order = new Object();
    private @Nullable Runnable afterClose;
    private boolean closed;

    /** What a rank's thread owns. */
    private record Rank(Device device, RankCommunicators communicators, ModelRunner runner) {}

    /** Makes one rank's runner, weights loaded, on the rank's thread. */
    @FunctionalInterface
    interface RunnerMaker {
        ModelRunner make(int rank, Device device, RankCommunicators communicators);
    }

    private RankGroup(ModelConfig config, int size, int stages) {
        this.config = config;
        this.stages = stages;
        this.ranks = new AtomicReferenceArray<>(size);
    }

    /**
     * Starts the ranks and waits until every one is ready.
     *
     * @param name prefix of the threads' names
     * @param size ranks, stage by stage
     * @param stages of the pipeline
     * @throws EngineException CONFIGURATION when a rank cannot start; nothing is left running
     */
    static RankGroup start(
            String name,
            ModelConfig config,
            int size,
            int stages,
            DeviceSupplier devices,
            CommunicatorSupplier communicators,
            RunnerMaker maker) {
        RankGroup group = new RankGroup(config, size, stages);
        for (int r = 0; r < size; r++) {
            int rank = r;
            group.threads.add(new RankThread(name + group.label(r), () -> group.closeRank(rank)));
        }
        try {
            group.onEveryRank(rank -> group.open(rank, size, devices, communicators, maker))
                    .join();
            int capacity = Integer.MAX_VALUE;
            int[] fitting = new int[size];
            group.onEveryRank(rank -> fitting[rank] = group.runner(rank).fittingCapacityTokens())
                    .join();
            for (int tokens : fitting) {
                capacity = Math.min(capacity, tokens);
            }
            int smallest = capacity;
            group.onEveryRank(rank -> group.runner(rank).allocate(smallest)).join();
        } catch (RuntimeException e) {
            group.close();
            throw cause(e) instanceof RuntimeException known ? known : e;
        }
        return group;
    }

    private void open(
            int rank, int size, DeviceSupplier devices, CommunicatorSupplier communicators, RunnerMaker maker) {
        Device device = devices.open(rank, size);
        try {
            RankCommunicators groups = communicators.join(rank, device);
            ranks.set(rank, new Rank(device, groups, maker.make(rank, device, groups)));
        } catch (RuntimeException e) {
            device.close();
            throw e;
        }
    }

    private static Throwable cause(Throwable error) {
        return error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
    }

    /** Runs once every rank has ended (to close what they share). */
    RankGroup whenClosed(Runnable action) {
        this.afterClose = action;
        return this;
    }

    /** Number of ranks. */
    public int size() {
        return ranks.length();
    }

    /** The model's configuration. */
    public ModelConfig config() {
        return config;
    }

    /**
     * One rank's runner: its cache and sizes may be read from any thread; everything else belongs to the rank's thread
     * ({@link #runBetweenSteps}).
     */
    public ModelRunner runner(int rank) {
        return Objects.requireNonNull(ranks.get(rank), "the rank has not started")
                .runner();
    }

    /** Pipeline stages; ranks are numbered stage by stage. */
    public int stages() {
        return stages;
    }

    /** The rank that chooses tokens: the first one of the last pipeline stage. */
    private int outputRank() {
        return size() - size() / stages;
    }

    /** {@code [-ppS]-tpR}: which thread this is. */
    private String label(int rank) {
        int inStage = size() / stages;
        return (stages > 1 ? "-pp" + rank / inStage : "") + "-tp" + rank % inStage;
    }

    @Override
    public int capacityTokens() {
        return runner(0).cache().capacityTokens();
    }

    @Override
    public int maxRows() {
        return runner(0).options().maxRows();
    }

    @Override
    public int contextTokens() {
        return runner(0).options().contextTokens();
    }

    /** Most tokens of one step. */
    public int maxStepTokens() {
        return runner(0).options().maxStepTokens();
    }

    /** Bytes of one rank's weights. */
    public long weightBytes() {
        return runner(0).weightBytes();
    }

    /** Bytes of one rank's KV cache. */
    public long cacheBytes() {
        return runner(0).cache().bytes();
    }

    @Override
    public CompletableFuture<StepResult> run(StepPlan plan) {
        StepWork work = new StepWork(plan);
        submit(work.remaining, work.future, rank -> work.run(rank));
        return work.future;
    }

    @Override
    public CompletableFuture<Void> runBetweenSteps(RankTask task) {
        return onEveryRank(task);
    }

    /** Sets (or with null removes) each rank's observer before the next step. */
    public CompletableFuture<Void> setObservers(@Nullable IntFunction<RankObserver> observers) {
        return onEveryRank(rank -> runner(rank).observe(observers == null ? null : observers.apply(rank)));
    }

    /** Sets each rank's layer listener before the next step; null removes them. */
    public CompletableFuture<Void> setLayerListeners(@Nullable IntFunction<LayerListener> listeners) {
        return onEveryRank(
                rank -> runner(rank).listenToLayers(listeners == null ? LayerListener.NONE : listeners.apply(rank)));
    }

    /** Sets who sees the choosing rank's logits from the next step on; null removes it. */
    public CompletableFuture<Void> setLogitsListener(@Nullable LogitsListener listener) {
        return onEveryRank(rank -> {
            if (rank == outputRank()) {
                runner(rank).listenToLogits(listener);
            }
        });
    }

    /** One step on all ranks; its future completes when the last rank has ended it. */
    private final class StepWork {
        private final StepPlan plan;
        private final CompletableFuture<StepResult> future = new CompletableFuture<>();
        private final AtomicInteger remaining = new AtomicInteger(size());
        private final AtomicReference<@Nullable StepResult> result = new AtomicReference<>();

        StepWork(StepPlan plan) {
            this.plan = plan;
        }

        void run(int rank) {
            if (failure.get() == null) {
                try {
                    StepResult mine = runner(rank).execute(plan);
                    if (rank == outputRank()) {
                        result.set(mine);
                    }
                } catch (Throwable t) {
                    fail(rank, t);
                }
            }
            if (remaining.decrementAndGet() > 0) {
                return;
            }
            Throwable cause = failure.get();
            StepResult done = result.get();
            if (cause != null || done == null) {
                future.completeExceptionally(unavailable(cause));
            } else {
                future.complete(done);
            }
        }
    }

    private void fail(int rank, Throwable cause) {
        failure.compareAndSet(null, cause);
        Rank failed = ranks.get(rank);
        if (failed != null) {
            failed.communicators().abort(cause);
        }
    }

    private static EngineException unavailable(@Nullable Throwable cause) {
        String why = cause == null ? "the ranks are closed" : "a rank has failed: " + cause;
        EngineException error = new EngineException(EngineException.Code.UNAVAILABLE, why);
        if (cause != null) {
            error.initCause(cause);
        }
        return error;
    }

    /** Completes when the task has ended on every rank, with the first failure if there is one. */
    private CompletableFuture<Void> onEveryRank(RankTask task) {
        CompletableFuture<Void> future = new CompletableFuture<>();
        AtomicInteger remaining = new AtomicInteger(size());
        AtomicReference<@Nullable Throwable> error = new AtomicReference<>();
        submit(remaining, future, rank -> {
            try {
                task.run(rank);
            } catch (Throwable t) {
                error.compareAndSet(null, t);
            }
            if (remaining.decrementAndGet() == 0) {
                Throwable first = error.get();
                if (first == null) {
                    future.complete(null);
                } else {
                    future.completeExceptionally(first);
                }
            }
        });
        return future;
    }

    /** What a rank does with a piece of work. */
    @FunctionalInterface
    private interface RankWork {
        void run(int rank);
    }

    /** Queues work on every rank, in one order for all. */
    private void submit(AtomicInteger remaining, CompletableFuture<?> future, RankWork work) {
        synchronized (order) {
            if (closed) {
                future.completeExceptionally(unavailable(failure.get()));
                return;
            }
            for (int r = 0; r < threads.size(); r++) {
                int rank = r;
                if (!threads.get(r).offer(() -> work.run(rank))) {
                    // The ranks that have it already would wait for this one in a collective.
                    EngineException full = new EngineException(
                            EngineException.Code.INTERNAL,
                            "more than " + RankThread.QUEUE_CAPACITY + " steps wait for "
                                    + threads.get(r).name());
                    fail(rank, full);
                    future.completeExceptionally(full);
                    return;
                }
            }
        }
    }

    private void closeRank(int rank) {
        Rank mine = ranks.get(rank);
        if (mine != null) {
            mine.runner().drain();
            mine.communicators().close();
            mine.device().close();
        }
    }

    /** True when no rank runs any more: what they read may be given back. */
    public boolean hasEnded() {
        return threads.stream().allMatch(RankThread::hasEnded);
    }

    /** Ends the ranks after what is queued; a rank that does not end within half a minute is left behind as a daemon. */
    @Override
    public void close() {
        synchronized (order) {
            if (closed) {
                return;
            }
            closed = true;
        }
        threads.forEach(RankThread::end);
        boolean ended = true;
        long deadline = System.nanoTime() + CLOSE_LIMIT.toNanos();
        try {
            for (RankThread thread : threads) {
                ended &= thread.join(Duration.ofNanos(Math.max(1, deadline - System.nanoTime())));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            ended = false;
        }
        // Weights that a rank may still read are not unmapped under it.
        if (ended && afterClose != null) {
            afterClose.run();
        }
    }
}
