package dev.baton.serve.control;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineException;
import dev.baton.engine.RankLoad;
import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.http.Exchange;
import java.time.Clock;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * {@code /health} and {@code /health_generate}: 200 when the engine shows a sign of life after the call, 503 when none
 * comes in time. A busy engine shows it by its next step; one that is idle, or makes none soon, is asked for one token.
 */
public final class HealthHandler {
    private static final System.Logger LOG = System.getLogger(HealthHandler.class.getName());
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss");

    /** On a prefill or decode server: no other half is asked. */
    private static final String NO_TRANSFER_HOST = "2.2.2.2";

    /** How long the next step of a busy engine is waited for, at most; then it is asked like an idle one. */
    private static final long BUSY_NANOS = TimeUnit.SECONDS.toNanos(2);

    private final Engine engine;
    private final ServeConfig config;
    private final ServerState state;
    private final AtomicLong checks = new AtomicLong();

    public HealthHandler(Engine engine, ServeConfig config, ServerState state) {
        this.engine = engine;
        this.config = config;
        this.state = state;
    }

    /** {@code /health}. */
    public void health(Exchange exchange) throws InterruptedException {
        if (isUp() && !config.healthGenerates()) {
            answer(exchange, 200);
        } else {
            generate(exchange);
        }
    }

    private boolean isUp() {
        return switch (state.status()) {
            case STARTING, CLOSING -> false;
            case UP, UNHEALTHY -> true;
        };
    }

    /** {@code /health_generate}. */
    public void generate(Exchange exchange) throws InterruptedException {
        if (!isUp()) {
            answer(exchange, 503);
            return;
        }
        long start = System.nanoTime();
        long timeout = TimeUnit.SECONDS.toNanos(config.healthTimeoutSeconds());
        long patience = isIdle() ? 0 : Math.min(timeout / 2, BUSY_NANOS);
        boolean alive = state.awaitSign(start, patience);
        String probe = alive ? null : submitProbe();
        if (alive || state.awaitSign(start, timeout - patience)) {
            state.status(ServerState.Status.UP);
            answer(exchange, 200);
            return;
        }
        if (probe != null) {
            engine.abort(probe);
        }
        state.status(ServerState.Status.UNHEALTHY);
        LOG.log(
                System.Logger.Level.ERROR,
                "Health check failed. Server couldn''t get a response from detokenizer for last {0} seconds."
                        + " tic start time: {1}. last_heartbeat time: {2}",
                config.healthTimeoutSeconds(),
                clock(start),
                clock(state.lastSignNanos()));
        answer(exchange, 503);
    }

    private boolean isIdle() {
        for (RankLoad load : engine.load()) {
            if (load.runningRequests() > 0) {
                return false;
            }
        }
        return true;
    }

    /** The probe's id, null when the engine does not take it: then its next step must do. */
    private @Nullable String submitProbe() {
        String rid = "HEALTH_CHECK_" + Clock.systemUTC().millis() / 1e3 + "_" + checks.incrementAndGet() + ";";
        String role = engine.info().role();
        boolean pair = "prefill".equals(role) || "decode".equals(role);
        var bootstrap = pair ? new EngineRequest.Bootstrap(NO_TRANSFER_HOST, config.bootstrapPort(), 0) : null;
        var request = new EngineRequest(rid, new int[] {0}, SamplingParams.greedy(1), null, bootstrap, null);
        try {
            engine.submit(request, output -> state.signOfLife());
            return rid;
        } catch (EngineException e) {
            LOG.log(System.Logger.Level.DEBUG, "The engine did not take the health check", e);
            return null;
        }
    }

    private static String clock(long nanos) {
        Instant at = Instant.now().minusNanos(System.nanoTime() - nanos);
        return LocalTime.ofInstant(at, ZoneId.systemDefault()).format(TIME);
    }

    private static void answer(Exchange exchange, int status) {
        exchange.respond(status, Exchange.TEXT, new byte[0]);
    }
}
