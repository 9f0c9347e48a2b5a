package dev.baton.engine.schedule;

import dev.baton.engine.EngineException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What other threads hand to a scheduler's thread: requests and control calls, both bounded, and wishes without contents.
 * Any thread may hand something in; the scheduler's takes it out.
 */
final class Inbox {
    private static final int CONTROL_LIMIT = 256;

    private final int maxQueuedRequests;
    private final AtomicInteger queued = new AtomicInteger();
    private final Runnable wake;
    private final BlockingQueue<Request> requests;
    private final BlockingQueue<Runnable> controls = new ArrayBlockingQueue<>(CONTROL_LIMIT);
    private final AtomicInteger live = new AtomicInteger();
    private volatile boolean abortsAsked;
    private volatile boolean roleNews;
    private volatile @Nullable String refusal;

    /** @param wake ends the scheduler's rest */
    Inbox(int maxQueuedRequests, Runnable wake) {
        this.maxQueuedRequests = maxQueuedRequests;
        this.wake = wake;
        this.requests = new ArrayBlockingQueue<>(maxQueuedRequests);
    }

    /**
     * Takes a request.
     *
     * @throws EngineException QUEUE_FULL or UNAVAILABLE
     */
    void submit(Request request) {
        String reason = refusal;
        if (reason != null) {
            throw new EngineException(EngineException.Code.UNAVAILABLE, reason);
        }
        if (queued.incrementAndGet() > maxQueuedRequests) {
            queued.decrementAndGet();
            throw new EngineException(EngineException.Code.QUEUE_FULL, "The request queue is full.");
        }
        live.incrementAndGet();
        if (!requests.offer(request)) {
            live.decrementAndGet();
            queued.decrementAndGet();
            throw new EngineException(EngineException.Code.QUEUE_FULL, "The request queue is full.");
        }
        wake.run();
        if (refusal != null && requests.remove(request)) {
            // The thread had gone by the time the request stood here.
            live.decrementAndGet();
            throw new EngineException(EngineException.Code.UNAVAILABLE, String.valueOf(refusal));
        }
    }

    /** Has a task run on the scheduler's thread between two of its rounds. */
    <T> CompletableFuture<T> control(Supplier<T> task) {
        CompletableFuture<T> done = new CompletableFuture<>();
        Runnable command = () -> {
            try {
                done.complete(task.get());
            } catch (RuntimeException e) {
                done.completeExceptionally(e);
            }
        };
        String reason = refusal;
        if (reason != null || !controls.offer(command)) {
            done.completeExceptionally(new EngineException(
                    EngineException.Code.UNAVAILABLE, reason != null ? reason : "Too many control calls are waiting."));
            return done;
        }
        wake.run();
        if (refusal != null && controls.remove(command)) {
            done.completeExceptionally(new EngineException(EngineException.Code.UNAVAILABLE, String.valueOf(refusal)));
        }
        return done;
    }

    /** Requests that asked for it shall be aborted. */
    void askForAborts() {
        abortsAsked = true;
        wake.run();
    }

    /** Requests that have not been admitted for the first time: those here and those that the scheduler has. */
    AtomicInteger queued() {
        return queued;
    }

    /** The role wants to be polled. */
    void tellRoleNews() {
        roleNews = true;
    }

    /** Nothing is taken any more, for this reason. */
    void refuse(String reason) {
        refusal = reason;
    }

    /** Why nothing is taken any more; null while all is well. */
    @Nullable
    String refusal() {
        return refusal;
    }

    /** Requests that have been taken and have not ended. */
    int live() {
        return live.get();
    }

    /** One of them has ended. */
    void ended() {
        live.decrementAndGet();
    }

    /** Whether there is something to take. */
    boolean hasNews() {
        return !requests.isEmpty() || !controls.isEmpty() || abortsAsked || roleNews;
    }

    void takeRequests(Consumer<Request> to) {
        for (Request request = requests.poll(); request != null; request = requests.poll()) {
            to.accept(request);
        }
    }

    boolean takeAborts() {
        boolean asked = abortsAsked;
        abortsAsked = false;
        return asked;
    }

    void runControls() {
        for (Runnable control = controls.poll(); control != null; control = controls.poll()) {
            control.run();
        }
    }

    void takeRoleNews() {
        roleNews = false;
    }
}
