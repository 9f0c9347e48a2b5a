package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.forward.ModelRunner;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.schedule.StepExecutor.RankTask;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.tensor.Device;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of one model replica, or those of them that live in this JVM: a daemon thread each, with its own device and communicators. Steps and tasks run on
 * every rank in the order in which they were queued.
 *
 * <p>When a rank fails in a step, its communicators are aborted, so that no other rank waits for it; that step's futures
 * and all later ones fail with the first cause. Futures complete on a rank's thread: dependants must hand on and return.
 */
final class Ranks {
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(30);

    private final RankShare share;
    /** Of the ranks that live here. */
    private final List<RankThread> threads = new ArrayList<>();

    private final int stages;
    private final int[] everyRank;
    private final AtomicReferenceArray<@Nullable Rank> ranks;
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Object order = new Object();
    private @Nullable Runnable afterClose;
    private boolean closed;
    /** Steps queued so far; the same number on every JVM. */
    private long steps;

    /** What a rank's thread owns. */
    private record Rank(Device device, RankCommunicators communicators, ModelRunner runner) {}

    /** Makes one rank's runner, weights loaded, on the rank's thread. */
    @FunctionalInterface
    interface RunnerMaker {
        ModelRunner make(int rank, Device device, RankCommunicators communicators);
    }

    private Ranks(int size, int stages, RankShare share) {
        this.stages = stages;
        this.share = share;
        this.ranks = new AtomicReferenceArray<>(size);
        this.everyRank = IntStream.range(0, size).toArray();
    }

    /**
     * Starts the ranks and waits until every one is ready.
     *
     * @param name prefix of the threads' names
     * @param size ranks, stage by stage
     * @param stages of the pipeline
     * @throws EngineException CONFIGURATION when a rank cannot start; nothing is left running
     */
    static Ranks start(
            String name,
            int size,
            int stages,
            DeviceSupplier devices,
            CommunicatorSupplier communicators,
            RankShare share,
            RunnerMaker maker) {
        Ranks all = new Ranks(size, stages, share);
        for (int r = share.first(); r < share.first() + share.count(size); r++) {
            int rank = r;
            all.threads.add(new RankThread(name + all.label(r), () -> all.closeRank(rank)));
        }
        try {
            all.onEveryRank(rank -> all.open(rank, size, devices, communicators, maker))
                    .join();
            AtomicInteger fitting = new AtomicInteger(Integer.MAX_VALUE);
            all.onEveryRank(rank -> fitting.accumulateAndGet(all.runner(rank).fittingCapacityTokens(), Math::min))
                    .join();
            int smallest = share.agreeOnCapacity(fitting.get());
            all.onEveryRank(rank -> all.runner(rank).allocate(smallest)).join();
            share.whenLost(all::lost);
        } catch (RuntimeException e) {
            share.failed(cause(e));
            all.close();
            throw cause(e) instanceof RuntimeException known ? known : e;
        }
        return all;
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
    void whenClosed(Runnable action) {
        this.afterClose = action;
    }

    /** Number of ranks, those of other JVMs included. */
    int size() {
        return ranks.length();
    }

    /** How many of these ranks live here. */
    int here(int... some) {
        return (int) Arrays.stream(some).filter(this::isHere).count();
    }

    private boolean isHere(int rank) {
        return share.first() <= rank && rank < share.first() + threads.size();
    }

    /** The runner of a rank that lives here, whichever: what all have alike may be read of it. */
    ModelRunner anyRunner() {
        return runner(share.first());
    }

    /** {@code [-ppS]-tpR}: which thread this is. */
    private String label(int rank) {
        int inStage = size() / stages;
        return (stages > 1 ? "-pp" + rank / inStage : "") + "-tp" + rank % inStage;
    }

    /** Whether a rank chooses its group's tokens: the first one of its group on the last stage. */
    private boolean chooses(int rank, int[] groupOf) {
        int firstOfStage = size() - size() / stages;
        return rank >= firstOfStage && (rank == firstOfStage || groupOf[rank - 1] != groupOf[rank]);
    }

    /** The rank that chooses a group's tokens. */
    private int choosing(int group, int[] groupOf) {
        int rank = size() - size() / stages;
        while (groupOf[rank] != group) {
            rank++;
        }
        return rank;
    }

    /** The runner of a rank that lives here. */
    ModelRunner runner(int rank) {
        return Objects.requireNonNull(ranks.get(rank), "the rank has not started")
                .runner();
    }

    /**
     * Runs one step on every rank; JVMs that have others of the ranks are told it first.
     *
     * @param plans one for each attention group
     * @param shape what the groups bring
     * @param groupOf attention group of each rank; the rank that chooses the group's tokens gives its result
     * @return one a group, complete when the last rank of all groups has ended the step
     */
    List<CompletableFuture<StepResult>> run(List<StepPlan> plans, StepShape shape, int[] groupOf) {
        StepWork work = new StepWork(plans, shape, groupOf);
        submit(everyRank, false, work::announce, work::run, work::refuse);
        return work.futures;
    }

    /** One step on all ranks. */
    private final class StepWork {
        private final List<StepPlan> plans;
        private final StepShape shape;
        private final int[] groupOf;
        private final List<CompletableFuture<StepResult>> futures = new ArrayList<>();
        private final AtomicReferenceArray<@Nullable StepResult> results;
        private final AtomicInteger remaining = new AtomicInteger(threads.size());
        private long number;

        StepWork(List<StepPlan> plans, StepShape shape, int[] groupOf) {
            this.plans = plans;
            this.shape = shape;
            this.groupOf = groupOf;
            this.results = new AtomicReferenceArray<>(plans.size());
            plans.forEach(plan -> futures.add(new CompletableFuture<>()));
        }

        void announce() {
            number = ++steps;
            share.announce(plans, shape);
        }

        void run(int rank) {
            if (failure.get() == null) {
                try {
                    PendingStep step = runner(rank).begin(plans.get(groupOf[rank]), shape);
                    RankThread thread = threads.get(rank - share.first());
                    if (!step.isDone() || thread.hasRests()) {
                        thread.later(step::isDone, () -> finish(rank, step));
                        return;
                    }
                    take(rank, step);
                } catch (Throwable t) {
                    fail(rank, t);
                }
            }
            ended();
        }

        private void finish(int rank, PendingStep step) {
            try {
                take(rank, step);
            } catch (Throwable t) {
                fail(rank, t);
            }
            ended();
        }

        private void take(int rank, PendingStep step) {
            StepResult mine = step.await();
            int group = groupOf[rank];
            if (chooses(rank, groupOf)) {
                results.set(group, mine);
                share.report(number, group, mine);
            }
        }

        private void ended() {
            if (remaining.decrementAndGet() > 0) {
                return;
            }
            for (int g = 0; g < futures.size(); g++) {
                end(g, failure.get());
            }
        }

        private void end(int group, @Nullable Throwable cause) {
            CompletableFuture<StepResult> future = futures.get(group);
            StepResult done = results.get(group);
            if (cause == null && done != null) {
                future.complete(done);
            } else if (cause == null && !isHere(choosing(group, groupOf))) {
                share.resultOf(number, group).whenComplete((result, error) -> {
                    if (error == null) {
                        future.complete(result);
                    } else {
                        future.completeExceptionally(error);
                    }
                });
            } else {
                future.completeExceptionally(unavailable(cause));
            }
        }

        void refuse(EngineException error) {
            futures.forEach(future -> future.completeExceptionally(error));
        }
    }

    private void fail(int rank, Throwable cause) {
        failure.compareAndSet(null, cause);
        Rank failed = ranks.get(rank);
        if (failed != null) {
            failed.communicators().abort(cause);
        }
        share.failed(cause);
    }

    /** Ranks of another JVM have gone. */
    private void lost(String reason) {
        fail(share.first(), new EngineException(EngineException.Code.UNAVAILABLE, reason));
    }

    /** Runs an action between two steps: what it queues is queued between the same steps on all JVMs. */
    void inOrder(Runnable action) {
        synchronized (order) {
            action.run();
        }
    }

    /** Why no step is taken any more. */
    EngineException unavailable() {
        return unavailable(failure.get());
    }

    private static EngineException unavailable(@Nullable Throwable cause) {
        String why = cause == null ? "the ranks are closed" : "a rank has failed: " + cause;
        EngineException error = new EngineException(EngineException.Code.UNAVAILABLE, why);
        if (cause != null) {
            error.initCause(cause);
        }
        return error;
    }

    /** The same task on every rank. */
    CompletableFuture<Void> onEveryRank(RankTask task) {
        return onRanks(everyRank, task);
    }

    /**
     * Completes when the task has ended on those of the ranks that live here, with the first failure if there is one.
     *
     * @param some numbers of ranks, ascending
     * @param task is given the place of the rank among them
     */
    CompletableFuture<Void> onRanks(int[] some, RankTask task) {
        CompletableFuture<Void> future = new CompletableFuture<>();
        AtomicInteger remaining = new AtomicInteger(here(some));
        if (remaining.get() == 0) {
            return CompletableFuture.completedFuture(null);
        }
        AtomicReference<@Nullable Throwable> error = new AtomicReference<>();
        submit(
                some,
                true,
                () -> {},
                rank -> {
                    try {
                        task.run(Arrays.binarySearch(some, rank));
                    } catch (Throwable t) {
                        error.compareAndSet(null, t);
                    }
                    if (remaining.decrementAndGet() == 0) {
                        Throwable cause = error.get();
                        if (cause == null) {
                            future.complete(null);
                        } else {
                            future.completeExceptionally(cause);
                        }
                    }
                },
                future::completeExceptionally);
        return future;
    }

    /** What a rank does with a piece of work. */
    @FunctionalInterface
    private interface RankWork {
        void run(int rank);
    }

    /**
     * Queues work on some ranks, in one order for all; or says why it cannot.
     *
     * @param alone whether steps before must have ended
     * @param before runs first, in the same order
     */
    private void submit(int[] some, boolean alone, Runnable before, RankWork work, Consumer<EngineException> refusal) {
        synchronized (order) {
            if (closed) {
                refusal.accept(unavailable(failure.get()));
                return;
            }
            try {
                before.run();
            } catch (RuntimeException e) {
                fail(share.first(), e);
                refusal.accept(unavailable(e));
                return;
            }
            for (int rank : some) {
                if (!isHere(rank)) {
                    continue;
                }
                RankThread thread = threads.get(rank - share.first());
                if (!thread.offer(() -> work.run(rank), alone)) {
                    // The ranks that have it already would wait for this one in a collective.
                    EngineException full = new EngineException(
                            EngineException.Code.INTERNAL,
                            "more than " + RankThread.QUEUE_CAPACITY + " steps wait for " + thread.name());
                    fail(rank, full);
                    refusal.accept(full);
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

    /** True when no rank runs any more. */
    boolean hasEnded() {
        return threads.stream().allMatch(RankThread::hasEnded);
    }

    /** Ends the ranks after what is queued; a rank that does not end within half a minute is left behind as a daemon. */
    void close() {
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
