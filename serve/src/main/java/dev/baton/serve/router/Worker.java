package dev.baton.serve.router;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;

/** One server behind the router and what the router knows of it. Thread-safe. */
final class Worker {
    /** What a worker does. */
    enum Role {
        REGULAR,
        PREFILL,
        DECODE;

        String wire() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    private final int index;
    private final Role role;
    private final WorkerAddress address;
    private final String host;
    private final int port;
    private final CircuitBreaker breaker;
    private final boolean breakerOff;
    private final int failureThreshold;
    private final int successThreshold;
    private final AtomicInteger inFlight = new AtomicInteger();
    private final LongAdder processed = new LongAdder();
    private volatile boolean healthy;
    private volatile long tokenLoad = -1;
    private boolean everChecked;
    private int goodChecks;
    private int badChecks;

    /** A worker that takes no request before its first good check; {@code index} counts from 0 within its role. */
    Worker(int index, Role role, WorkerAddress address, RouterConfig config, LongSupplier clock) {
        this.index = index;
        this.role = role;
        this.address = address;
        this.host = address.host();
        this.port = address.port();
        this.breaker = new CircuitBreaker(
                config.cbFailureThreshold(),
                config.cbSuccessThreshold(),
                (long) (config.cbTimeoutDurationSecs() * 1e9),
                clock);
        this.breakerOff = config.disableCircuitBreaker();
        this.failureThreshold = config.healthFailureThreshold();
        this.successThreshold = config.healthSuccessThreshold();
    }

    int index() {
        return index;
    }

    Role role() {
        return role;
    }

    WorkerAddress address() {
        return address;
    }

    String url() {
        return address.url();
    }

    String host() {
        return host;
    }

    int port() {
        return port;
    }

    CircuitBreaker breaker() {
        return breaker;
    }

    boolean healthy() {
        return healthy;
    }

    /** Healthy and its circuit not open. */
    boolean available() {
        return healthy && (breakerOff || breaker.allows());
    }

    /** Requests sent and not ended. */
    int inFlight() {
        return inFlight.get();
    }

    void begin() {
        inFlight.incrementAndGet();
    }

    void end() {
        inFlight.decrementAndGet();
        processed.increment();
    }

    long processed() {
        return processed.sum();
    }

    /** Tokens the worker said it holds, or -1 when it was not asked or did not say. */
    long tokenLoad() {
        return tokenLoad;
    }

    void tokenLoad(long tokens) {
        tokenLoad = tokens;
    }

    /** Counts one check; the very first decides alone. Says whether the worker's health changed. */
    synchronized boolean checked(boolean good) {
        boolean before = healthy;
        goodChecks = good ? goodChecks + 1 : 0;
        badChecks = good ? 0 : badChecks + 1;
        if (good && (!everChecked || goodChecks >= successThreshold)) {
            healthy = true;
            everChecked = true;
        } else if (!good && badChecks >= failureThreshold) {
            healthy = false;
        }
        return before != healthy;
    }
}
