package dev.baton.serve.router;

import io.netty.channel.EventLoop;
import io.netty.util.concurrent.Future;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** At most so many requests in progress; a bounded number waits, first come first served, for a bounded time. Thread-safe. */
final class Admission {
    /** One request that wants a place. */
    interface Applicant {
        /** It has a place, and gives it back with {@link Admission#leave}. On the applicant's event loop. */
        void admitted();

        /** There is no place. On the applicant's event loop. */
        void refused(String why);
    }

    /** A waiting applicant. */
    private static final class Waiter {
        final Applicant applicant;
        final EventLoop loop;

        @Nullable
        Future<?> timer;

        Waiter(Applicant applicant, EventLoop loop) {
            this.applicant = applicant;
            this.loop = loop;
        }
    }

    private final int limit;
    private final int queueSize;
    private final long timeoutNanos;
    private final ArrayDeque<Waiter> queue = new ArrayDeque<>();
    private int inside;

    /** {@code limit} below 0 admits everybody. */
    Admission(int limit, int queueSize, long timeoutNanos) {
        this.limit = limit;
        this.queueSize = queueSize;
        this.timeoutNanos = timeoutNanos;
    }

    /** Called on the applicant's event loop; answers now or later. */
    void enter(Applicant applicant, EventLoop loop) {
        Waiter waiter = null;
        boolean admitted;
        synchronized (this) {
            admitted = limit < 0 || (inside < limit && queue.isEmpty());
            if (admitted) {
                inside++;
            } else if (queue.size() < queueSize) {
                waiter = new Waiter(applicant, loop);
                queue.addLast(waiter);
            }
        }
        if (admitted) {
            applicant.admitted();
        } else if (waiter == null) {
            applicant.refused(
                    "The router's queue is full: " + limit + " requests in progress, " + queueSize + " waiting.");
        } else {
            Waiter late = waiter;
            late.timer = loop.schedule(() -> expire(late), timeoutNanos, TimeUnit.NANOSECONDS);
        }
    }

    private void expire(Waiter waiter) {
        boolean waiting;
        synchronized (this) {
            waiting = queue.remove(waiter);
        }
        if (waiting) {
            waiter.applicant.refused("The request waited " + timeoutNanos / 1e9 + " s for a place and got none.");
        }
    }

    /** Gives a place back; the longest waiting applicant gets it. */
    void leave() {
        Waiter next;
        synchronized (this) {
            next = queue.pollFirst();
            if (next == null) {
                inside--;
            }
        }
        if (next != null) {
            next.loop.execute(() -> {
                if (next.timer != null) {
                    next.timer.cancel(false);
                }
                next.applicant.admitted();
            });
        }
    }

    synchronized int inside() {
        return inside;
    }

    synchronized int waiting() {
        return queue.size();
    }
}
