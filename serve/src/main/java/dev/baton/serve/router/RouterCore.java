package dev.baton.serve.router;

import io.netty.handler.codec.http.DefaultHttpHeadersFactory;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.LongSupplier;
import tools.jackson.databind.json.JsonMapper;

/** What all requests of one router share. Thread-safe. */
final class RouterCore {
    private static final System.Logger LOG = System.getLogger("dev.baton.serve.router");
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final Set<String> FORWARDED = Set.of(
            "content-type",
            "accept",
            "authorization",
            "user-agent",
            "x-request-id",
            "x-correlation-id",
            "traceparent",
            "tracestate");

    private final RouterConfig config;
    private final Fleet fleet;
    private final Admission admission;
    private final RouterMetrics metrics;

    RouterCore(RouterConfig config, LongSupplier clock) {
        this.config = config;
        this.fleet = new Fleet(config, clock);
        this.admission = new Admission(
                config.maxConcurrentRequests(), config.queueSize(), (long) (config.queueTimeoutSecs() * 1e9));
        this.metrics = new RouterMetrics(fleet, admission);
    }

    RouterConfig config() {
        return config;
    }

    Fleet fleet() {
        return fleet;
    }

    Admission admission() {
        return admission;
    }

    RouterMetrics metrics() {
        return metrics;
    }

    void log(String message) {
        LOG.log(System.Logger.Level.WARNING, message);
    }

    void info(String message) {
        LOG.log(System.Logger.Level.INFO, message);
    }

    /** The headers of a request to a worker: what may pass from the client's, and the body's length. */
    HttpHeaders forwardedHeaders(HttpHeaders from, Worker worker, int bytes) {
        HttpHeaders headers =
                DefaultHttpHeadersFactory.headersFactory().withValidation(false).newHeaders();
        headers.set(HttpHeaderNames.HOST, worker.host() + ":" + worker.port());
        headers.set(HttpHeaderNames.CONTENT_LENGTH, bytes);
        for (Map.Entry<String, String> header : from) {
            String name = header.getKey().toLowerCase(Locale.ROOT);
            if (FORWARDED.contains(name) || name.startsWith("x-request-id-")) {
                headers.add(header.getKey(), header.getValue());
            }
        }
        if (config.apiKey() != null && !headers.contains(HttpHeaderNames.AUTHORIZATION)) {
            headers.set(HttpHeaderNames.AUTHORIZATION, "Bearer " + config.apiKey());
        }
        return headers;
    }

    /** A JSON string, quotes included. */
    static String quoted(String text) {
        return JSON.writeValueAsString(text);
    }
}
