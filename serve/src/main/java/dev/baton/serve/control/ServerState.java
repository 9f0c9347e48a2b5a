package dev.baton.serve.control;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Whether the server is up, and when the engine last showed a sign of life. */
public final class ServerState {
    /** The stages of a server's life. */
    public enum Status {
        /** Bound, not warmed up yet. */
        STARTING,
        UP,
        /** The engine left a health check unanswered. */
        UNHEALTHY,
        CLOSING
    }

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition alive = lock.newCondition();
    private volatile Status status = Status.STARTING;
    private volatile long lastSignNanos = System.nanoTime();
    private volatile int waiters;

    public Status status() {
        return status;
    }

    public void status(Status value) {
        status = value;
    }

    /** The engine has ended a step or answered. Cheap while nobody waits. */
    public void signOfLife() {
        lastSignNanos = System.nanoTime();
        if (waiters > 0) {
            lock.lock();
            try {
                alive.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    public long lastSignNanos() {
        return lastSignNanos;
    }

    /** Waits for a sign of life after {@code sinceNanos}; false when none came in time. */
    boolean awaitSign(long sinceNanos, long timeoutNanos) throws InterruptedException {
        long left = timeoutNanos;
        lock.lock();
        try {
            waiters++;
            while (lastSignNanos - sinceNanos <= 0) {
                if (left <= 0) {
                    return false;
                }
                left = alive.awaitNanos(left);
            }
            return true;
        } finally {
            waiters--;
            lock.unlock();
        }
    }
}
