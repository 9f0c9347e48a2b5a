package dev.baton.engine.schedule;

import org.jspecify.annotations.Nullable;

/** A server that does both: a request waits, is prefilled and decodes here. */
public final class UnifiedRole implements RoleQueues {
    private final SchedulerPort scheduler;

    public UnifiedRole(SchedulerPort scheduler) {
        this.scheduler = scheduler;
    }

    @Override
    public @Nullable String name() {
        return null;
    }

    @Override
    public void enqueue(Request request) {
        scheduler.admit(request);
    }

    @Override
    public boolean poll() {
        return false;
    }

    @Override
    public boolean decodes() {
        return true;
    }

    @Override
    public void chunkComputed(Request request, int from, int to, boolean last) {}

    @Override
    public boolean withdraw(Request request) {
        return true;
    }

    @Override
    public Counts counts() {
        return Counts.NONE;
    }

    @Override
    public void close() {}
}
