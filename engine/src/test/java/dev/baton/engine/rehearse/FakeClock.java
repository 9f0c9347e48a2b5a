package dev.baton.engine.rehearse;

/** Time that passes only when somebody sleeps or says so. */
final class FakeClock implements Clock {
    private long now = 1_000;

    @Override
    public synchronized long nanoTime() {
        return now;
    }

    @Override
    public synchronized void sleepUntil(long nanos) {
        now = Math.max(now, nanos);
    }

    synchronized void pass(long nanos) {
        now += nanos;
    }
}
