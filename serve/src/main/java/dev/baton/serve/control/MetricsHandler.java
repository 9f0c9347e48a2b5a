package dev.baton.serve.control;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.RankState;
import dev.baton.serve.http.Exchange;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** {@code /metrics}: the engine's gauges by DP rank beside whatever else the registry holds. */
public final class MetricsHandler {
    private static final String[] LABELS = {"model_name", "engine_type", "tp_rank", "pp_rank", "dp_rank"};
    private static final String[] LABELS_WITHOUT_DP = {"model_name", "engine_type", "tp_rank", "pp_rank"};

    private final Engine engine;
    private final PrometheusRegistry registry;
    private final String modelName;
    private final Counter responses;
    private final PrometheusTextFormatWriter writer = PrometheusTextFormatWriter.create();

    public MetricsHandler(Engine engine, PrometheusRegistry registry, String modelName) {
        this.engine = engine;
        this.registry = registry;
        this.modelName = modelName;
        gauges();
        balancedness();
        responses = Counter.builder()
                .name("sglang:http_responses_total")
                .help("HTTP responses by endpoint, status and method.")
                .labelNames("endpoint", "status_code", "method")
                .register(registry);
    }

    private void gauges() {
        EngineInfo info = engine.info();
        double capacity = info.maxTotalTokens();
        gauge("num_running_reqs", "Running requests.", RankState::runningRequests);
        gauge("num_queue_reqs", "Requests waiting for prefill.", RankState::queuedRequests);
        gauge("num_used_tokens", "KV tokens that live requests hold.", RankState::usedTokens);
        gauge("token_usage", "Share of the KV pool used.", state -> state.usedTokens() / capacity);
        gauge("gen_throughput", "Tokens a second in the last decode log interval.", s -> s.lastGenerationThroughput());
        gauge("cache_hit_rate", "Cached share of the last prefill batch.", RankState::cacheHitRate);
        gauge("max_total_num_tokens", "KV pool in tokens.", state -> capacity);
        gauge(
                "utilization",
                "Running requests over the most there may be.",
                state -> state.runningRequests() / (double) Math.max(1, info.maxRunningRequests()));
        gauge("new_token_ratio", "Admission estimate.", RankState::newTokenRatio);
        gauge("num_retracted_reqs", "Requests retracted so far.", RankState::retractedRequests);
        boolean prefill = "prefill".equals(info.role());
        boolean decode = "decode".equals(info.role());
        gauge(
                "num_prefill_prealloc_queue_reqs",
                "Prefill role: waiting for the decode side.",
                state -> prefill ? state.preallocRequests() : 0);
        gauge(
                "num_prefill_inflight_queue_reqs",
                "Prefill role: KV on its way.",
                state -> prefill ? state.transferRequests() : 0);
        gauge(
                "num_decode_prealloc_queue_reqs",
                "Decode role: waiting for KV space.",
                state -> decode ? state.preallocRequests() : 0);
        gauge(
                "num_decode_transfer_queue_reqs",
                "Decode role: KV on its way.",
                state -> decode ? state.transferRequests() : 0);
    }

    private void balancedness() {
        GaugeWithCallback.builder()
                .name("sglang:eplb_balancedness")
                .help("Mean over the most loaded rank's tokens, mean over layers with experts, of the last pass.")
                .labelNames("model_name", "dp_rank")
                .callback(sink -> {
                    List<Double> replicas = engine.experts().balancedness();
                    for (int i = 0; i < replicas.size(); i++) {
                        sink.call(replicas.get(i), modelName, Integer.toString(i));
                    }
                })
                .register(registry);
    }

    private void gauge(String name, String help, ToDoubleFunction<RankState> value) {
        boolean ranks = engine.info().dataParallel() > 1;
        GaugeWithCallback.builder()
                .name("sglang:" + name)
                .help(help)
                .labelNames(ranks ? LABELS : LABELS_WITHOUT_DP)
                .callback(sink -> {
                    for (RankState state : engine.states()) {
                        String rank = Integer.toString(state.dpRank());
                        if (ranks) {
                            sink.call(value.applyAsDouble(state), modelName, "unified", "0", "0", rank);
                        } else {
                            sink.call(value.applyAsDouble(state), modelName, "unified", "0", "0");
                        }
                    }
                })
                .register(registry);
    }

    /** Counts an answer. */
    public void answered(String endpoint, int status, String method) {
        responses.labelValues(endpoint, Integer.toString(status), method).inc();
    }

    /** {@code /metrics}. */
    public void handle(Exchange exchange) throws IOException {
        var out = new ByteArrayOutputStream(8 << 10);
        writer.write(out, registry.scrape());
        exchange.respond(200, writer.getContentType(), out.toByteArray());
    }
}
