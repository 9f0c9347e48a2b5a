package dev.baton.serve.router;

import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Asks every worker for its health, and for its load where the policy wants it, until closed. */
final class HealthChecks implements AutoCloseable {
    /** A worker that is not healthy is asked more often, so that a starting one is used soon. */
    private static final double IMPATIENT_SECONDS = 1;

    private static final long LOAD_INTERVAL_MILLIS = 1000;
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final RouterCore core;
    private final WorkerCalls calls;
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("router-health").factory());

    HealthChecks(RouterCore core, WorkerCalls calls) {
        this.core = core;
        this.calls = calls;
    }

    void start() {
        for (Worker worker : core.fleet().all()) {
            timer.execute(() -> check(worker));
            if (core.fleet().needsLoads()) {
                timer.execute(() -> load(worker));
            }
        }
        long eviction = (long) (core.config().evictionIntervalSecs() * 1e9);
        timer.scheduleWithFixedDelay(core.fleet()::evict, eviction, eviction, TimeUnit.NANOSECONDS);
    }

    private void check(Worker worker) {
        RouterConfig config = core.config();
        Duration deadline = Duration.ofNanos((long) (config.healthCheckTimeoutSecs() * 1e9));
        calls.call(worker, "GET", config.healthCheckEndpoint(), null, null, deadline)
                .thenAccept(reply -> {
                    if (worker.checked(reply.ok())) {
                        core.info("Worker " + worker.url() + " ("
                                + worker.role().wire() + ") is now "
                                + (worker.healthy() ? "healthy" : "unhealthy: " + reply.status() + " " + reply.body()));
                    }
                    double seconds = worker.healthy()
                            ? config.healthCheckIntervalSecs()
                            : Math.min(config.healthCheckIntervalSecs(), IMPATIENT_SECONDS);
                    again(() -> check(worker), (long) (seconds * 1e9));
                });
    }

    private void load(Worker worker) {
        calls.call(worker, "GET", "/get_load", null, null, Duration.ofSeconds(5))
                .thenAccept(reply -> {
                    worker.tokenLoad(tokens(reply));
                    again(() -> load(worker), TimeUnit.MILLISECONDS.toNanos(LOAD_INTERVAL_MILLIS));
                });
    }

    private void again(Runnable task, long nanos) {
        try {
            timer.schedule(task, nanos, TimeUnit.NANOSECONDS);
        } catch (java.util.concurrent.RejectedExecutionException e) {
            // Closed meanwhile.
        }
    }

    /** The tokens that a {@code /get_load} reply names over all its ranks, or -1. */
    static long tokens(WorkerCalls.Reply reply) {
        if (!reply.ok()) {
            return -1;
        }
        try {
            JsonNode json = JSON.readTree(reply.body());
            long tokens = 0;
            boolean any = false;
            for (JsonNode rank : json.isArray() ? json : JSON.createArrayNode().add(json)) {
                JsonNode value = rank.has("num_tokens") ? rank.path("num_tokens") : rank.path("load");
                any |= value.isNumber();
                tokens += value.asLong(0);
            }
            return any ? tokens : -1;
        } catch (JacksonException e) {
            return -1;
        }
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
