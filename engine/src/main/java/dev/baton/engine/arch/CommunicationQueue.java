package dev.baton.engine.arch;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/**
 * Where a rank's collectives run that computing goes on beside: in the order in which they were launched, which is the
 * same on every rank.
 */
public interface CommunicationQueue extends AutoCloseable {
    /** Runs each piece of work when it is launched: nothing overlaps. */
    CommunicationQueue INLINE = work -> {
        work.run();
        return () -> {};
    };

    /** Work under way. */
    @FunctionalInterface
    interface Pending {
        /** Returns when it has ended, or throws what it threw. Collectives have deadlines, so this does not hang. */
        void await();
    }

    /** Begins a piece of work. */
    Pending launch(Runnable work);

    @Override
    default void close() {}

    /** A daemon thread of its own; several pieces of work may wait. */
    static CommunicationQueue threaded(String name) {
        return new Threaded(name);
    }

    /** One thread. */
    final class Threaded implements CommunicationQueue {
        private static final int CAPACITY = 64;

        private final BlockingQueue<Runnable> queue = new ArrayBlockingQueue<>(CAPACITY);
        private final Thread thread;
        private volatile boolean closed;

        private Threaded(String name) {
            thread = Thread.ofPlatform().daemon().name(name).start(this::loop);
        }

        /** The thread, to be named in a trace. */
        public Thread thread() {
            return thread;
        }

        private void loop() {
            while (!closed || !queue.isEmpty()) {
                try {
                    Runnable work = queue.poll(1, TimeUnit.SECONDS);
                    if (work != null) {
                        work.run();
                    }
                } catch (InterruptedException e) {
                    closed = true;
                }
            }
        }

        @Override
        public Pending launch(Runnable work) {
            CompletableFuture<Void> done = new CompletableFuture<>();
            boolean taken = queue.offer(() -> {
                try {
                    work.run();
                    done.complete(null);
                } catch (Throwable t) {
                    done.completeExceptionally(t);
                }
            });
            if (!taken) {
                throw new IllegalStateException("more than " + CAPACITY + " collectives wait on " + thread.getName());
            }
            return () -> {
                try {
                    done.join();
                } catch (CompletionException e) {
                    throw e.getCause() instanceof RuntimeException cause ? cause : e;
                }
            };
        }

        @Override
        public void close() {
            closed = true;
            queue.offer(() -> {});
        }
    }
}
