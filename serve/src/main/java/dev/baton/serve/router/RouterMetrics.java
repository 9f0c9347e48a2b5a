package dev.baton.serve.router;

import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.ToDoubleFunction;

/** The router's metrics under SGLang's names ({@code sgl_router_*}). Thread-safe. */
final class RouterMetrics {
    private static final double[] SECONDS = {
        .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 45, 60, 90, 120, 180, 240
    };

    private final PrometheusRegistry registry = new PrometheusRegistry();
    private final Counter requests = counter("sgl_router_requests", "Requests by route", "route");
    private final Counter errors =
            counter("sgl_router_request_errors", "Requests that were not answered well", "route", "error_type");
    private final Histogram duration = Histogram.builder()
            .name("sgl_router_request_duration_seconds")
            .help("From the request's last byte to the answer's")
            .labelNames("route")
            .classicOnly()
            .classicUpperBounds(SECONDS)
            .register(registry);
    private final Counter retries = counter("sgl_router_retries", "Attempts after the first", "route");
    private final Counter exhausted =
            counter("sgl_router_retries_exhausted", "Requests that failed on every attempt", "route");
    private final Counter processed = counter("sgl_router_processed_requests", "Requests sent to a worker", "worker");
    private final Counter outcomes =
            counter("sgl_router_cb_outcomes", "What circuit breakers counted", "worker", "outcome");
    private final Counter pdErrors = counter("sgl_router_pd_errors", "Failures of a pair", "error_type");

    RouterMetrics(Fleet fleet, Admission admission) {
        workerGauge(fleet, "sgl_router_worker_health", "1 when healthy", worker -> worker.healthy() ? 1 : 0);
        workerGauge(fleet, "sgl_router_worker_load", "Requests in flight", Worker::inFlight);
        workerGauge(
                fleet,
                "sgl_router_cb_state",
                "0 closed, 1 open, 2 half open",
                worker -> worker.breaker().state().ordinal());
        workerGauge(
                fleet,
                "sgl_router_cb_state_transitions",
                "Changes of the circuit",
                worker -> worker.breaker().transitions());
        gauge("sgl_router_active_workers", "Workers that take requests", () ->
                (double) fleet.all().stream().filter(Worker::available).count());
        gauge("sgl_router_running_requests", "Requests in progress", () -> (double) admission.inside());
        gauge("sgl_router_queued_requests", "Requests that wait for a place", () -> (double) admission.waiting());
    }

    private Counter counter(String name, String help, String... labels) {
        return Counter.builder().name(name).help(help).labelNames(labels).register(registry);
    }

    private void workerGauge(Fleet fleet, String name, String help, ToDoubleFunction<Worker> value) {
        GaugeWithCallback.builder()
                .name(name)
                .help(help)
                .labelNames("worker", "role")
                .callback(gauge -> fleet.all()
                        .forEach(worker -> gauge.call(
                                value.applyAsDouble(worker),
                                worker.url(),
                                worker.role().wire())))
                .register(registry);
    }

    private void gauge(String name, String help, java.util.function.DoubleSupplier value) {
        GaugeWithCallback.builder()
                .name(name)
                .help(help)
                .callback(gauge -> gauge.call(value.getAsDouble()))
                .register(registry);
    }

    void request(String route) {
        requests.labelValues(route).inc();
    }

    void ended(String route, long nanos) {
        duration.labelValues(route).observe(nanos / 1e9);
    }

    void error(String route, String type) {
        errors.labelValues(route, type).inc();
    }

    void retry(String route) {
        retries.labelValues(route).inc();
    }

    void retriesExhausted(String route) {
        exhausted.labelValues(route).inc();
    }

    void outcome(Worker worker, boolean success) {
        processed.labelValues(worker.url()).inc();
        outcomes.labelValues(worker.url(), success ? "success" : "failure").inc();
    }

    void pdError(String type) {
        pdErrors.labelValues(type).inc();
    }

    /** Prometheus text, version 0.0.4. */
    byte[] text() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            PrometheusTextFormatWriter.create().write(out, registry.scrape());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }
}
