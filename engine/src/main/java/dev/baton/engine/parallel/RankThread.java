package dev.baton.engine.parallel;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One rank's platform thread: runs what is queued, one after the other, until it is told to end. Work may leave a rest for
 * {@link #later}, when the device has done its part; the next work is begun meanwhile. Work never throws: each piece reports
 * its own failure.
 */
final class RankThread {
    /** Pieces of work that may wait; a scheduler keeps two or three in flight. */
    static final int QUEUE_CAPACITY = 64;

    /** Rests that may be left at once: with as many, the oldest is waited for. */
    private static final int MOST_RESTS = 2;

    private static final long POLL_MICROS = 20;

    /** @param alone begins when all rests have run */
    private record Work(Runnable action, boolean alone) {}

    /** @param ready whether {@code action} would not wait */
    private record Rest(BooleanSupplier ready, Runnable action) {}

    private final BlockingQueue<Work> queue = new ArrayBlockingQueue<>(QUEUE_CAPACITY);
    /** Of the rank's thread. */
    private final ArrayDeque<Rest> rests = new ArrayDeque<>();

    private final Thread thread;
    private volatile boolean ending;

    /** @param last runs on the thread when it ends */
    RankThread(String name, Runnable last) {
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(() -> loop(last));
        thread.start();
    }

    private void loop(Runnable last) {
        while (true) {
            try {
                Rest rest = rests.peekFirst();
                if (rest != null && (rests.size() >= MOST_RESTS || queue.isEmpty() && rest.ready.getAsBoolean())) {
                    runOldestRest();
                    continue;
                }
                Work work = next();
                if (work != null) {
                    while (work.alone && !rests.isEmpty()) {
                        runOldestRest();
                    }
                    work.action.run();
                } else if (ending && rests.isEmpty()) {
                    last.run();
                    return;
                }
            } catch (InterruptedException e) {
                // Nobody interrupts a rank; the end comes through end().
                ending = true;
            }
        }
    }

    private @Nullable Work next() throws InterruptedException {
        if (!rests.isEmpty()) {
            return queue.poll(POLL_MICROS, TimeUnit.MICROSECONDS);
        }
        return ending ? queue.poll() : queue.poll(1, TimeUnit.SECONDS);
    }

    private void runOldestRest() {
        rests.removeFirst().action.run();
    }

    /**
     * Leaves a rest of the work that runs now; rests run in their order. On the rank's thread.
     *
     * @param ready whether {@code action} would not wait
     */
    void later(BooleanSupplier ready, Runnable action) {
        rests.addLast(new Rest(ready, action));
    }

    /** Whether work before has left something. On the rank's thread. */
    boolean hasRests() {
        return !rests.isEmpty();
    }

    /**
     * False when the queue is full or the thread is ending.
     *
     * @param alone whether what is queued before must have ended, rests included
     */
    boolean offer(Runnable work, boolean alone) {
        return !ending && queue.offer(new Work(work, alone));
    }

    /** No more work; what is queued still runs. */
    void end() {
        ending = true;
        // Wakes a waiting thread; a full queue wakes it as well.
        queue.offer(new Work(() -> {}, true));
    }

    /** Waits for the end; false when the thread still runs after {@code limit}. */
    boolean join(Duration limit) throws InterruptedException {
        return thread.join(limit);
    }

    /** True when it has run its last work. */
    boolean hasEnded() {
        return !thread.isAlive();
    }

    String name() {
        return thread.getName();
    }
}
