package dev.baton.serve.router;

import dev.baton.protocol.ProtocolException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The flags of {@code baton route}, one component a flag ({@code queueSize} is {@code --queue-size}); names and defaults
 * are SGLang's router's. Durations carry their unit in the name.
 *
 * @param host address to bind
 * @param port port to bind; 0 takes a free one
 * @param workerUrls plain mode: the workers
 * @param pdDisaggregation prefill and decode servers instead of plain workers
 * @param prefill prefill servers
 * @param decode decode servers
 * @param policy how a worker is chosen
 * @param prefillPolicy the same for prefill servers; null takes {@code policy}
 * @param decodePolicy the same for decode servers; null takes {@code policy}
 * @param cacheThreshold cache_aware: share of the prompt that must match
 * @param balanceAbsThreshold cache_aware: loads differ too much above this difference ...
 * @param balanceRelThreshold ... and this ratio
 * @param evictionIntervalSecs cache_aware: seconds between evictions
 * @param maxTreeSize cache_aware: bytes of prompts remembered per worker
 * @param maxPayloadSize bytes of a request body; longer ones are answered 413
 * @param requestTimeoutSecs a request is given up after this
 * @param maxConcurrentRequests requests in progress; -1 does not limit
 * @param queueSize requests that wait for a place
 * @param queueTimeoutSecs how long they wait
 * @param retryMaxRetries attempts after the first
 * @param retryInitialBackoffMs pause before the first retry
 * @param retryMaxBackoffMs longest pause
 * @param retryBackoffMultiplier growth of the pause
 * @param retryJitterFactor share of the pause that is random
 * @param disableRetries one attempt only
 * @param cbFailureThreshold consecutive failures that open a worker's circuit
 * @param cbSuccessThreshold consecutive successes that close it again
 * @param cbTimeoutDurationSecs how long it stays open
 * @param disableCircuitBreaker circuits never open
 * @param healthFailureThreshold consecutive failed checks that make a worker unhealthy
 * @param healthSuccessThreshold consecutive good checks that make it healthy again
 * @param healthCheckTimeoutSecs a check that takes longer has failed
 * @param healthCheckIntervalSecs between checks
 * @param healthCheckEndpoint path of the check
 * @param apiKey sent to workers in checks and forwarded control calls; null sends none
 * @param eventLoops threads of the router; 0 takes one a core, at most 16
 */
public record RouterConfig(
        String host,
        int port,
        List<WorkerAddress> workerUrls,
        boolean pdDisaggregation,
        List<WorkerAddress> prefill,
        List<WorkerAddress> decode,
        PolicyName policy,
        @Nullable PolicyName prefillPolicy,
        @Nullable PolicyName decodePolicy,
        double cacheThreshold,
        int balanceAbsThreshold,
        double balanceRelThreshold,
        double evictionIntervalSecs,
        long maxTreeSize,
        long maxPayloadSize,
        double requestTimeoutSecs,
        int maxConcurrentRequests,
        int queueSize,
        double queueTimeoutSecs,
        int retryMaxRetries,
        double retryInitialBackoffMs,
        double retryMaxBackoffMs,
        double retryBackoffMultiplier,
        double retryJitterFactor,
        boolean disableRetries,
        int cbFailureThreshold,
        int cbSuccessThreshold,
        double cbTimeoutDurationSecs,
        boolean disableCircuitBreaker,
        int healthFailureThreshold,
        int healthSuccessThreshold,
        double healthCheckTimeoutSecs,
        double healthCheckIntervalSecs,
        String healthCheckEndpoint,
        @Nullable String apiKey,
        int eventLoops) {

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    public RouterConfig {
        workerUrls = List.copyOf(workerUrls);
        prefill = List.copyOf(prefill);
        decode = List.copyOf(decode);
        check("port", port >= 0 && port <= 65535, port, "a port from 0 to 65535");
        check("cache_threshold", cacheThreshold >= 0 && cacheThreshold <= 1, cacheThreshold, "a number from 0 to 1");
        check("queue_size", queueSize >= 0, queueSize, "0 or more");
        check(
                "max_concurrent_requests",
                maxConcurrentRequests == -1 || maxConcurrentRequests > 0,
                maxConcurrentRequests,
                "-1 (no limit) or more than 0");
        check(
                "max_payload_size",
                maxPayloadSize > 0 && maxPayloadSize <= Integer.MAX_VALUE,
                maxPayloadSize,
                "bytes from 1 to 2147483647");
        check("max_tree_size", maxTreeSize > 0, maxTreeSize, "more than 0");
        check("request_timeout_secs", requestTimeoutSecs > 0, requestTimeoutSecs, "more than 0");
        check("queue_timeout_secs", queueTimeoutSecs > 0, queueTimeoutSecs, "more than 0");
        check("retry_max_retries", retryMaxRetries >= 0, retryMaxRetries, "0 or more");
        check("retry_backoff_multiplier", retryBackoffMultiplier >= 1, retryBackoffMultiplier, "1 or more");
        check(
                "retry_jitter_factor",
                retryJitterFactor >= 0 && retryJitterFactor <= 1,
                retryJitterFactor,
                "a number from 0 to 1");
        check("cb_failure_threshold", cbFailureThreshold > 0, cbFailureThreshold, "more than 0");
        check("cb_success_threshold", cbSuccessThreshold > 0, cbSuccessThreshold, "more than 0");
        check("health_failure_threshold", healthFailureThreshold > 0, healthFailureThreshold, "more than 0");
        check("health_success_threshold", healthSuccessThreshold > 0, healthSuccessThreshold, "more than 0");
        check("health_check_timeout_secs", healthCheckTimeoutSecs > 0, healthCheckTimeoutSecs, "more than 0");
        check("health_check_interval_secs", healthCheckIntervalSecs > 0, healthCheckIntervalSecs, "more than 0");
        check("eviction_interval_secs", evictionIntervalSecs > 0, evictionIntervalSecs, "more than 0");
        check("health_check_endpoint", healthCheckEndpoint.startsWith("/"), healthCheckEndpoint, "a path like /health");
        check("event_loops", eventLoops >= 0 && eventLoops <= 256, eventLoops, "0 to 256");
    }

    /** SGLang's defaults, without workers. */
    public static RouterConfig defaults() {
        return new RouterConfig(
                "0.0.0.0",
                30000,
                List.of(),
                false,
                List.of(),
                List.of(),
                PolicyName.CACHE_AWARE,
                null,
                null,
                0.3,
                64,
                1.5,
                120,
                67_108_864L,
                512L << 20,
                1800,
                -1,
                100,
                60,
                5,
                50,
                30_000,
                1.5,
                0.2,
                false,
                10,
                3,
                60,
                false,
                3,
                2,
                5,
                60,
                "/health",
                null,
                0);
    }

    /**
     * The defaults with these keys set, named as the flags ({@code queue_size} or {@code queue-size}).
     *
     * @throws ProtocolException INVALID_FLAG naming the key
     */
    public static RouterConfig of(Map<String, ?> flags) {
        ObjectNode tree = MAPPER.valueToTree(defaults());
        flags.forEach((key, value) -> {
            String name = key.replace('-', '_');
            if (!tree.has(name)) {
                throw new ProtocolException(ProtocolException.Code.INVALID_FLAG, "unknown key '" + key + "'");
            }
            tree.set(name, MAPPER.valueToTree(value));
        });
        try {
            return MAPPER.treeToValue(tree, RouterConfig.class);
        } catch (JacksonException e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (cause instanceof ProtocolException ours) {
                    throw ours;
                }
            }
            String path = e.getPath().isEmpty() ? "" : e.getPath().getFirst().getPropertyName() + ": ";
            throw new ProtocolException(ProtocolException.Code.INVALID_FLAG, path + e.getOriginalMessage(), e);
        }
    }

    /** All keys and values in the order of the components. */
    public JsonNode toJson() {
        return MAPPER.valueToTree(this);
    }

    /** Refuses a set of workers that cannot work. */
    void requireWorkers() {
        boolean ok = pdDisaggregation
                ? !prefill.isEmpty() && !decode.isEmpty() && workerUrls.isEmpty()
                : !workerUrls.isEmpty() && prefill.isEmpty() && decode.isEmpty();
        if (!ok) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    "give either --worker-urls URL..., or --pd-disaggregation with --prefill URL [PORT] and --decode URL,"
                            + " each at least once");
        }
    }

    private static void check(String key, boolean ok, Object value, String wanted) {
        if (!ok) {
            throw new ProtocolException(ProtocolException.Code.INVALID_FLAG, key + " is " + value + "; give " + wanted);
        }
    }
}
