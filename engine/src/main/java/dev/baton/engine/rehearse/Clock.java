package dev.baton.engine.rehearse;

import java.util.concurrent.locks.LockSupport;

/** What modelled time is measured and spent with. */
interface Clock {
    /** As {@link System#nanoTime}. */
    long nanoTime();

    /** Returns at {@code nanos} or a little later, at once when that is past. */
    void sleepUntil(long nanos);

    /** Real time. The thread sleeps, so that others compute meanwhile; the last part it yields, to be on time. */
    Clock REAL = new Clock() {
        /** A parked thread comes back about so much too late. */
        private static final long YIELDED_NANOS = 80_000;

        @Override
        public long nanoTime() {
            return System.nanoTime();
        }

        @Override
        public void sleepUntil(long nanos) {
            while (true) {
                long left = nanos - System.nanoTime();
                if (left <= 0) {
                    return;
                }
                if (left > YIELDED_NANOS) {
                    LockSupport.parkNanos(left - YIELDED_NANOS);
                } else {
                    Thread.yield();
                }
            }
        }
    };
}
