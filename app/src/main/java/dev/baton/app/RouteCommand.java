package dev.baton.app;

import dev.baton.protocol.ProtocolException;
import dev.baton.serve.router.Router;
import dev.baton.serve.router.RouterConfig;
import dev.baton.serve.router.WorkerAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code baton route}. The fields tell picocli names and types; only flags that were given are passed on, so that the
 * defaults live in {@link RouterConfig} alone.
 */
@Command(
        name = "route",
        aliases = {"launch_router", "mini_lb"},
        description = "Stands in front of several servers: plain workers, or prefill and decode servers.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class RouteCommand implements Callable<Integer> {
    /** Flags of SGLang's router that change nothing here. */
    private static final Set<String> WITHOUT_EFFECT = Set.of(
            "mini-lb",
            "rust-lb",
            "dp-aware",
            "log-level",
            "log-dir",
            "log-interval",
            "prometheus-port",
            "prometheus-host",
            "request-id-headers",
            "worker-startup-timeout-secs",
            "worker-startup-check-interval",
            "cb-window-duration-secs",
            "bucket-adjust-interval-secs",
            "rate-limit-tokens-per-second");

    @Spec
    CommandSpec spec;

    @Option(names = "--host", description = "address to bind (default 0.0.0.0)")
    @Nullable
    String host;

    @Option(names = "--port", description = "port to bind, 0 takes a free one (default 30000)")
    @Nullable
    Integer port;

    @Option(
            names = "--worker-urls",
            paramLabel = "URL",
            arity = "1..*",
            description = "plain mode: the workers, http://host:port")
    @Nullable
    List<String> workerUrls;

    @Option(names = "--pd-disaggregation", description = "prefill and decode servers instead of plain workers")
    @Nullable
    Boolean pdDisaggregation;

    @Option(
            names = "--prefill",
            paramLabel = "URL [PORT]",
            arity = "1..*",
            description = "a prefill server and the port of its bootstrap registry (or none); repeatable")
    @Nullable
    List<String> prefill;

    @Option(names = "--decode", paramLabel = "URL", arity = "1..*", description = "a decode server; repeatable")
    @Nullable
    List<String> decode;

    @Option(names = "--policy", description = "random, round_robin, power_of_two, cache_aware (default cache_aware)")
    @Nullable
    String policy;

    @Option(names = "--prefill-policy", description = "the same for prefill servers")
    @Nullable
    String prefillPolicy;

    @Option(names = "--decode-policy", description = "the same for decode servers")
    @Nullable
    String decodePolicy;

    @Option(names = "--cache-threshold", description = "cache_aware: share of the prompt that must match (default 0.3)")
    @Nullable
    Double cacheThreshold;

    @Option(
            names = "--balance-abs-threshold",
            description = "cache_aware: loads differ too much above this (default 64)")
    @Nullable
    Integer balanceAbsThreshold;

    @Option(names = "--balance-rel-threshold", description = "cache_aware: and above this ratio (default 1.5)")
    @Nullable
    Double balanceRelThreshold;

    @Option(names = "--eviction-interval-secs", description = "cache_aware: between evictions (default 120)")
    @Nullable
    Double evictionIntervalSecs;

    @Option(
            names = "--max-tree-size",
            description = "cache_aware: bytes of prompts remembered a worker (default 67108864)")
    @Nullable
    Long maxTreeSize;

    @Option(names = "--max-payload-size", description = "bytes of a request (default 536870912)")
    @Nullable
    Long maxPayloadSize;

    @Option(
            names = {"--request-timeout-secs", "--timeout"},
            description = "a request is given up after this (default 1800)")
    @Nullable
    Double requestTimeoutSecs;

    @Option(names = "--max-concurrent-requests", description = "requests in progress, -1 does not limit (default -1)")
    @Nullable
    Integer maxConcurrentRequests;

    @Option(names = "--queue-size", description = "requests that wait for a place (default 100)")
    @Nullable
    Integer queueSize;

    @Option(names = "--queue-timeout-secs", description = "how long they wait (default 60)")
    @Nullable
    Double queueTimeoutSecs;

    @Option(names = "--retry-max-retries", description = "attempts after the first (default 5)")
    @Nullable
    Integer retryMaxRetries;

    @Option(names = "--retry-initial-backoff-ms", description = "pause before the first retry (default 50)")
    @Nullable
    Double retryInitialBackoffMs;

    @Option(names = "--retry-max-backoff-ms", description = "longest pause (default 30000)")
    @Nullable
    Double retryMaxBackoffMs;

    @Option(names = "--retry-backoff-multiplier", description = "growth of the pause (default 1.5)")
    @Nullable
    Double retryBackoffMultiplier;

    @Option(names = "--retry-jitter-factor", description = "share of the pause that is random (default 0.2)")
    @Nullable
    Double retryJitterFactor;

    @Option(names = "--disable-retries", description = "one attempt only")
    @Nullable
    Boolean disableRetries;

    @Option(names = "--cb-failure-threshold", description = "consecutive failures that open a circuit (default 10)")
    @Nullable
    Integer cbFailureThreshold;

    @Option(names = "--cb-success-threshold", description = "consecutive successes that close it (default 3)")
    @Nullable
    Integer cbSuccessThreshold;

    @Option(names = "--cb-timeout-duration-secs", description = "how long it stays open (default 60)")
    @Nullable
    Double cbTimeoutDurationSecs;

    @Option(names = "--disable-circuit-breaker", description = "circuits never open")
    @Nullable
    Boolean disableCircuitBreaker;

    @Option(
            names = "--health-failure-threshold",
            description = "failed checks that make a worker unhealthy (default 3)")
    @Nullable
    Integer healthFailureThreshold;

    @Option(names = "--health-success-threshold", description = "good checks that make it healthy (default 2)")
    @Nullable
    Integer healthSuccessThreshold;

    @Option(names = "--health-check-timeout-secs", description = "a longer check has failed (default 5)")
    @Nullable
    Double healthCheckTimeoutSecs;

    @Option(names = "--health-check-interval-secs", description = "between checks (default 60)")
    @Nullable
    Double healthCheckIntervalSecs;

    @Option(names = "--health-check-endpoint", description = "path of the check (default /health)")
    @Nullable
    String healthCheckEndpoint;

    @Option(names = "--api-key", description = "sent to workers in checks and control calls")
    @Nullable
    String apiKey;

    @Option(names = "--event-loops", description = "threads (default: one a core, at most 16)")
    @Nullable
    Integer eventLoops;

    @Option(
            names = "--prefill-bootstrap-ports",
            arity = "1..*",
            hidden = true,
            description = "bootstrap ports of the prefill servers, in their order")
    @Nullable
    List<String> prefillBootstrapPorts;

    @Option(names = "--mini-lb", hidden = true, description = "accepted, without effect")
    @Nullable
    Boolean miniLb;

    @Option(names = "--rust-lb", hidden = true, description = "accepted, without effect")
    @Nullable
    Boolean rustLb;

    @Option(names = "--dp-aware", hidden = true, description = "accepted, without effect")
    @Nullable
    Boolean dpAware;

    @Option(names = "--log-level", hidden = true, description = "accepted, without effect")
    @Nullable
    String logLevel;

    @Option(names = "--log-dir", hidden = true, description = "accepted, without effect")
    @Nullable
    String logDir;

    @Option(names = "--log-interval", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer logInterval;

    @Option(names = "--prometheus-port", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer prometheusPort;

    @Option(names = "--prometheus-host", hidden = true, description = "accepted, without effect")
    @Nullable
    String prometheusHost;

    @Option(names = "--request-id-headers", arity = "1..*", hidden = true, description = "accepted, without effect")
    @Nullable
    List<String> requestIdHeaders;

    @Option(names = "--worker-startup-timeout-secs", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer workerStartupTimeoutSecs;

    @Option(names = "--worker-startup-check-interval", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer workerStartupCheckInterval;

    @Option(names = "--cb-window-duration-secs", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer cbWindowDurationSecs;

    @Option(names = "--bucket-adjust-interval-secs", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer bucketAdjustIntervalSecs;

    @Option(names = "--rate-limit-tokens-per-second", hidden = true, description = "accepted, without effect")
    @Nullable
    Integer rateLimitTokensPerSecond;

    @Override
    public Integer call() throws InterruptedException {
        Map<String, Object> flags = GivenFlags.of(spec);
        for (String name : WITHOUT_EFFECT) {
            if (flags.remove(name) != null && !name.equals("mini-lb")) {
                System.err.println("Warning: --" + name + " has no effect in this router");
            }
        }
        flags.remove("prefill-bootstrap-ports");
        flags.computeIfPresent("prefill", (key, words) -> addresses(prefill, prefillBootstrapPorts));
        flags.computeIfPresent("decode", (key, words) -> addresses(decode, null));
        flags.computeIfPresent("worker-urls", (key, words) -> addresses(workerUrls, null));
        try (Router router = Router.start(RouterConfig.of(flags))) {
            Runtime.getRuntime().addShutdownHook(new Thread(router::close, "router-close"));
            System.err.println("Router listens on " + router.url());
            router.awaitClosed();
        }
        return 0;
    }

    /** URLs, each with a port (or {@code none}) behind it or in the other list. */
    static List<WorkerAddress> addresses(@Nullable List<String> words, @Nullable List<String> ports) {
        List<WorkerAddress> addresses = new ArrayList<>();
        for (String word : words == null ? List.<String>of() : words) {
            if (word.contains("://")) {
                int at = addresses.size();
                String port = ports != null && at < ports.size() ? ports.get(at) : "none";
                addresses.add(new WorkerAddress(word, port(port)));
            } else if (addresses.isEmpty()) {
                throw new ProtocolException(
                        ProtocolException.Code.INVALID_FLAG,
                        "worker URL '" + word + "' is not of the form http://host:port");
            } else {
                addresses.add(new WorkerAddress(addresses.removeLast().url(), port(word)));
            }
        }
        return addresses;
    }

    private static @Nullable Integer port(String word) {
        if (word.equalsIgnoreCase("none")) {
            return null;
        }
        try {
            int port = Integer.parseInt(word);
            if (port > 0 && port <= 65535) {
                return port;
            }
        } catch (NumberFormatException e) {
            // Told below.
        }
        throw new ProtocolException(
                ProtocolException.Code.INVALID_FLAG,
                "bootstrap port '" + word + "' is not a port from 1 to 65535 or none");
    }
}
