package dev.baton.engine.parallel;

import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * One rank's platform thread: runs what is queued, one after the other, until it is told to end. Work never throws: each
 * piece reports its own failure.
 */
final class RankThread {
    /** Pieces of work that may wait; a scheduler keeps two or three in flight. */
    static final int QUEUE_CAPACITY = 64;

    private final BlockingQueue<Runnable> queue = new ArrayBlockingQueue<>(QUEUE_CAPACITY);
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
                Runnable work = ending ? queue.poll() : queue.poll(1, TimeUnit.SECONDS);
                if (work != null) {
                    work.run();
                } else if (ending) {
                    last.run();
                    return;
                }
            } catch (InterruptedException e) {
                // Nobody interrupts a rank; the end comes through end().
                ending = true;
            }
        }
    }

    /** False when the queue is full or the thread is ending. */
    boolean offer(Runnable work) {
        return !ending && queue.offer(work);
    }

    boolean isCurrent() {
        return Thread.currentThread() == thread;
    }

    /** No more work; what is queued still runs. */
    void end() {
        ending = true;
        // Wakes a waiting thread; a full queue wakes it as well.
        queue.offer(() -> {});
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
