package dev.baton.serve.generate;

import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import io.prometheus.metrics.core.datapoints.DistributionDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.model.registry.PrometheusRegistry;

/** The counters and histograms of requests, under SGLang's names and buckets, label {@code model_name}. */
public final class RequestMetrics {
    private static final double[] FIRST_TOKEN = {
        0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400
    };
    private static final double[] INTER_TOKEN = {
        0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.020, 0.025, 0.030, 0.035, 0.040, 0.060, 0.080, 0.100, 0.200, 0.400,
        0.600, 0.800, 1, 2, 4, 6, 8
    };
    private static final double[] END_TO_END = {
        0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1_200, 1_800, 2_400
    };

    private final CounterDataPoint promptTokens;
    private final CounterDataPoint generationTokens;
    private final CounterDataPoint cachedTokens;
    private final CounterDataPoint requests;
    private final CounterDataPoint aborted;
    private final DistributionDataPoint firstToken;
    private final DistributionDataPoint interToken;
    private final DistributionDataPoint endToEnd;

    public RequestMetrics(PrometheusRegistry registry, String modelName) {
        promptTokens = counter(registry, modelName, "prompt_tokens", "Prompt tokens processed.");
        generationTokens = counter(registry, modelName, "generation_tokens", "Tokens generated.");
        cachedTokens = counter(registry, modelName, "cached_tokens", "Prompt tokens found in the prefix cache.");
        requests = counter(registry, modelName, "num_requests", "Requests that ended.");
        aborted = counter(registry, modelName, "num_aborted_requests", "Requests that were aborted.");
        firstToken = histogram(
                registry, modelName, "time_to_first_token_seconds", "From receipt to the first token.", FIRST_TOKEN);
        interToken = histogram(registry, modelName, "inter_token_latency_seconds", "Between two tokens.", INTER_TOKEN);
        endToEnd = histogram(
                registry, modelName, "e2e_request_latency_seconds", "From receipt to the last token.", END_TO_END);
    }

    private static CounterDataPoint counter(PrometheusRegistry registry, String model, String name, String help) {
        return Counter.builder()
                .name("sglang:" + name + "_total")
                .help(help)
                .labelNames("model_name")
                .register(registry)
                .labelValues(model);
    }

    private static DistributionDataPoint histogram(
            PrometheusRegistry registry, String model, String name, String help, double[] bounds) {
        return Histogram.builder()
                .name("sglang:" + name)
                .help(help)
                .labelNames("model_name")
                .classicOnly()
                .classicUpperBounds(bounds)
                .register(registry)
                .labelValues(model);
    }

    void firstToken(double seconds) {
        firstToken.observe(seconds);
    }

    /** {@code added} tokens came {@code seconds} after the one before: each counts with its share. */
    void tokens(double seconds, int added) {
        for (int i = 0; i < added; i++) {
            interToken.observe(seconds / added);
        }
    }

    void finished(RequestOutput output, double seconds) {
        promptTokens.inc(output.promptTokens());
        generationTokens.inc(output.completionTokens());
        cachedTokens.inc(output.cachedTokens());
        requests.inc();
        endToEnd.observe(seconds);
        if (output.finish() instanceof FinishReason.Abort) {
            aborted.inc();
        }
    }
}
