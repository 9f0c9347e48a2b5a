package dev.baton.engine.schedule;

import dev.baton.engine.EngineException;
import dev.baton.engine.RankLoad;
import dev.baton.engine.RankState;
import dev.baton.protocol.FinishReason;
import java.lang.System.Logger;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The one thread of a DP rank: takes requests from a bounded inbox, plans, launches, applies. With overlap it keeps one
 * step running and the next one launched, and applies the results of the first while the second runs; in a pipeline it
 * keeps as many steps launched as there are micro-batches.
 *
 * <p><b>Slowing down.</b> While a sleep is set, the thread sleeps that long before each launch, after it has applied what
 * was in flight, and logs it. Other than in SGLang the sleep can be interrupted: the next {@link #slowDown} takes effect
 * at once (a shorter or longer sleep is measured from where this one began, 0 ends it), and new requests, aborts and the
 * role's queues go on being served while it lasts.
 *
 * <p><b>Failure.</b> A step that fails, or that takes longer than the watchdog allows, ends the rank: every live
 * request gets an Abort with status 500, later ones are refused, nothing hangs.
 */
public final class SchedulerLoop implements AutoCloseable {
    private static final Logger LOG = System.getLogger(SchedulerLoop.class.getName());
    private static final long REST_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long POLL_NANOS = Duration.ofMillis(1).toNanos();

    private final SchedulerConfig config;
    private final StepExecutor executor;
    private final Scheduler scheduler;
    private final List<StepObserver> observers;
    private final Runnable stepEnd;
    private final Consumer<String> failed;
    private final int dpRank;
    private final Thread thread;

    private final Inbox inbox;
    private volatile double sleepSeconds;
    private volatile boolean closing;
    /** Set from outside: this rank must end because another one has failed. */
    private volatile @Nullable String failure;

    private volatile RankState state;
    private volatile RankLoad load;

    private record Launched(ScheduledStep step, CompletableFuture<StepResult> result, long launchedNanos) {}

    private final ArrayDeque<Launched> inFlight = new ArrayDeque<>();
    private long lastDoneNanos = System.nanoTime();
    private boolean rolePending;
    private boolean resting;

    /**
     * @param parts what the rank is made of
     * @param stepEnd run after each step's outputs were told
     * @param ended told of each request that has ended
     * @param failed told once when the rank has failed, with the reason
     */
    public SchedulerLoop(RankParts parts, Runnable stepEnd, Consumer<Request> ended, Consumer<String> failed) {
        this.config = parts.config();
        this.executor = parts.executor();
        this.observers = List.copyOf(parts.observers());
        this.stepEnd = stepEnd;
        this.failed = failed;
        this.dpRank = parts.dpRank();
        this.thread = Thread.ofPlatform().name("scheduler-" + dpRank).unstarted(this::run);
        Inbox box = new Inbox(config.maxQueuedRequests(), this::wake);
        this.inbox = box;
        this.scheduler = new Scheduler(
                config,
                executor,
                new Results(parts.endTokenIds(), parts.vocabularySize(), config.streamInterval()),
                new SchedulerLog(parts.label(), parts.cuda(), config.decodeLogInterval(), parts.log()),
                dpRank,
                parts.roles(),
                box.queued(),
                request -> {
                    box.ended();
                    ended.accept(request);
                },
                () -> {
                    box.tellRoleNews();
                    wake();
                });
        this.state = scheduler.state(dpRank);
        this.load = new RankLoad(dpRank, 0, 0, 0);
    }

    /** Begins to work. */
    public void start() {
        thread.start();
    }

    /** The scheduler's figures; those that never change may be read from any thread. */
    public SchedulerPort port() {
        return scheduler.port();
    }

    /** Requests that have been taken and have not ended. */
    public int liveRequests() {
        return inbox.live();
    }

    public RankState state() {
        return state;
    }

    public RankLoad load() {
        return load;
    }

    /** Why no request is taken any more; null while all is well. */
    public @Nullable String refusal() {
        return inbox.refusal();
    }

    /**
     * Takes a request.
     *
     * @throws EngineException QUEUE_FULL or UNAVAILABLE
     */
    public void submit(Request request) {
        inbox.submit(request);
    }

    /** Requests that {@link Request#askToAbort} was called for are ended soon. */
    public void endAborted() {
        inbox.askForAborts();
    }

    /** Empties the prefix cache; false while requests live. */
    public CompletableFuture<Boolean> flush() {
        return inbox.control(scheduler::flush);
    }

    /** Sleeps before every launch; 0 or less ends it. Completes when the thread has taken it. */
    public CompletableFuture<Void> slowDown(double seconds) {
        double value = seconds > 0 ? seconds : 0;
        return inbox.control(() -> {
            sleepSeconds = value;
            return null;
        });
    }

    /** Ends this rank because another one of its engine has failed. */
    public void fail(String reason) {
        failure = reason;
        wake();
    }

    /** Ends a rest, so that queues are looked at. */
    void wake() {
        LockSupport.unpark(thread);
    }

    private void run() {
        String message = "The engine is closed.";
        FinishReason reason = new FinishReason.Abort("The engine was closed.", 503, "ServiceUnavailable");
        try {
            while (!closing && failure == null) {
                round();
            }
            if (failure != null) {
                message = failure;
                reason = new FinishReason.Abort(failure, 500, "InternalServerError");
            }
        } catch (Throwable t) {
            Throwable cause = t instanceof ExecutionException e && e.getCause() != null ? e.getCause() : t;
            LOG.log(Logger.Level.ERROR, "DP rank " + dpRank + " has failed and takes no more requests", cause);
            message = "The engine has failed: " + cause;
            failed.accept(message);
            reason = new FinishReason.Abort(message, 500, "InternalServerError");
        }
        end(message, reason);
    }

    private void round() throws Exception {
        takeMessages();
        boolean room = inFlight.size() < config.stepsInFlight();
        ScheduledStep next = room ? scheduler.plan(!inFlight.isEmpty()) : null;
        if (next != null) {
            sleepBefore();
            if (closing || failure != null) {
                return;
            }
            launch(next);
            resting = false;
            if (inFlight.size() < config.stepsInFlight()) {
                return;
            }
        }
        Launched oldest = inFlight.peekFirst();
        if (oldest == null) {
            rest();
        } else if (await(oldest, room && next == null && !scheduler.wantsResults())) {
            applyOldest();
        }
    }

    private void launch(ScheduledStep step) {
        for (StepObserver observer : observers) {
            observer.beforeStep(step.plan());
        }
        CompletableFuture<StepResult> result = executor.run(step.plan());
        result.whenComplete((r, e) -> wake());
        inFlight.addLast(new Launched(step, result, System.nanoTime()));
        publish();
    }

    /**
     * Waits for a step and takes messages meanwhile, so that an abort or a control call need not wait for a long step.
     *
     * @param orNews whether to come back after a message, because it may make another step possible
     * @return true when the step has ended
     */
    private boolean await(Launched step, boolean orNews) {
        // A step begins when the one before it has ended.
        long begins = Math.max(step.launchedNanos, lastDoneNanos);
        while (!step.result.isDone()) {
            if (closing || failure != null) {
                return false;
            }
            if (inbox.hasNews()) {
                takeMessages();
                publish();
                if (orNews) {
                    return step.result.isDone();
                }
            }
            if (executor.waitsForOthers()) {
                begins = System.nanoTime();
            }
            long left = begins + (long) (config.watchdogSeconds() * 1e9) - System.nanoTime();
            if (left <= 0) {
                throw new EngineException(
                        EngineException.Code.INTERNAL,
                        "Watchdog timeout: step " + step.step.plan().step() + " took longer than "
                                + config.watchdogSeconds() + " s");
            }
            LockSupport.parkNanos(rolePending ? Math.min(left, POLL_NANOS) : left);
            if (rolePending) {
                inbox.tellRoleNews();
            }
        }
        return true;
    }

    private void applyOldest() throws ExecutionException, InterruptedException {
        Launched done = inFlight.removeFirst();
        StepResult result = done.result.get();
        lastDoneNanos = System.nanoTime();
        scheduler.apply(done.step, result);
        for (StepObserver observer : observers) {
            observer.afterStep(done.step.plan(), result);
        }
        publish();
        stepEnd.run();
    }

    private void takeMessages() {
        inbox.takeRequests(scheduler::enqueue);
        if (inbox.takeAborts()) {
            scheduler.endAborted();
            publish();
            stepEnd.run();
        }
        inbox.runControls();
        inbox.takeRoleNews();
        rolePending = scheduler.pollRole();
        if (scheduler.takeMoved()) {
            publish();
            stepEnd.run();
        }
    }

    private void sleepBefore() throws ExecutionException, InterruptedException {
        if (sleepSeconds <= 0) {
            return;
        }
        while (!inFlight.isEmpty() && await(inFlight.getFirst(), false)) {
            applyOldest();
        }
        publish();
        scheduler.log().sleep(sleepSeconds);
        long began = System.nanoTime();
        while (!closing && failure == null) {
            long left = (long) (sleepSeconds * 1e9) - (System.nanoTime() - began);
            if (left <= 0) {
                return;
            }
            LockSupport.parkNanos(Math.min(left, rolePending ? POLL_NANOS : REST_NANOS));
            takeMessages();
            publish();
        }
    }

    private void rest() {
        executor.nothingToRun();
        if (!resting) {
            resting = true;
            if (scheduler.idle()) {
                try {
                    scheduler.atRest();
                } catch (EngineException leak) {
                    LOG.log(Logger.Level.ERROR, leak.getMessage());
                }
            }
            publish();
            stepEnd.run();
        }
        if (!inbox.hasNews() && !closing && failure == null) {
            LockSupport.parkNanos(rolePending ? POLL_NANOS : REST_NANOS);
        }
    }

    private void publish() {
        RankState now = scheduler.state(dpRank);
        state = now;
        load = new RankLoad(
                dpRank,
                now.runningRequests() + scheduler.chunkedRequests(),
                now.queuedRequests() + now.preallocRequests() + now.transferRequests(),
                scheduler.loadTokens());
    }

    private void end(String message, FinishReason reason) {
        inbox.refuse(message);
        try {
            inbox.takeRequests(scheduler::enqueue);
            scheduler.endAll(reason);
            inbox.runControls();
            publish();
            stepEnd.run();
        } catch (RuntimeException e) {
            LOG.log(Logger.Level.ERROR, "DP rank " + dpRank + " could not end its requests", e);
        }
        scheduler.role().close();
    }

    /** Ends every request and the thread; waits for it a while, then closes the executor. */
    @Override
    public void close() {
        close(Duration.ofSeconds(10));
    }

    /** Takes no more requests and lets the thread end its own; returns at once. */
    public void beginClose() {
        closing = true;
        if (inbox.refusal() == null) {
            inbox.refuse("The engine is closed.");
        }
        wake();
    }

    /** As {@link #close()}, waiting at most so long for a step that still runs. */
    public void close(Duration patience) {
        beginClose();
        try {
            if (thread.getState() == Thread.State.NEW) {
                scheduler.role().close();
            } else if (!thread.join(patience)) {
                LOG.log(Logger.Level.WARNING, "DP rank " + dpRank + " did not end within " + patience);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        executor.close();
    }
}
