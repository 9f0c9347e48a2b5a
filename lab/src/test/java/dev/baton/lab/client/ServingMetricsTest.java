package dev.baton.lab.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class ServingMetricsTest {
    private static RequestOutcome ok(
            int index, int in, int out, double start, double ttft, double latency, double... itl) {
        return new RequestOutcome(index, true, in, out, (long) (start * 1e9), ttft, latency, itl, "t" + index, "");
    }

    /** Two requests, 3 and 2 tokens, and a lost one; a run of 4 s. */
    private static final List<RequestOutcome> OUTCOMES = List.of(
            ok(0, 10, 3, 100.0, 0.5, 1.6, 0.4, 0.6),
            ok(1, 20, 2, 100.2, 0.3, 2.4, 2.0),
            new RequestOutcome(2, false, 30, 0, 100_000_000_000L, 0, 0, new double[0], "", "HTTP 500: x"));

    @Test
    void figuresAgreeWithNumbersWorkedOutByHand() {
        ServingMetrics m = ServingMetrics.of(OUTCOMES, 4.0, -1);
        assertThat(m.completed()).isEqualTo(2);
        assertThat(m.failed()).isEqualTo(1);
        assertThat(m.totalInputTokens()).isEqualTo(30);
        assertThat(m.totalOutputTokens()).isEqualTo(5);
        assertThat(m.requestThroughput()).isEqualTo(0.5);
        assertThat(m.inputThroughput()).isEqualTo(7.5);
        assertThat(m.outputThroughput()).isEqualTo(1.25);
        assertThat(m.totalThroughput()).isEqualTo(8.75);
        assertThat(m.concurrency()).isCloseTo(1.0, within(1e-12)); // (1.6 + 2.4) / 4
        assertThat(m.e2eMillis().mean()).isCloseTo(2000, within(1e-9));
        assertThat(m.ttftMillis().median()).isCloseTo(400, within(1e-9));
        assertThat(m.ttftMillis().deviation()).isCloseTo(100, within(1e-9));
        assertThat(m.ttftMillis().at(99)).isCloseTo(498, within(1e-9));
        // (1.6-0.5)/2 = 0.55 and (2.4-0.3)/1 = 2.1
        assertThat(m.tpotMillis().mean()).isCloseTo(1325, within(1e-9));
        assertThat(m.itlMillis().mean()).isCloseTo(1000, within(1e-9));
        assertThat(m.itlMillis().at(95)).isCloseTo(600 + 0.9 * 1400, within(1e-9));
        assertThat(m.itlMillis().max()).isCloseTo(2000, within(1e-9));
        // Tokens at 0.5, 0.9, 1.5 and 0.5, 2.5 s: three in the first second. Alive: both in seconds 0 and 1.
        assertThat(m.peakOutputTokensPerSecond()).isEqualTo(3);
        assertThat(m.peakConcurrentRequests()).isEqualTo(2);
    }

    @Test
    void percentilesInterpolateLikeNumpy() {
        // numpy.percentile([15, 20, 35, 40, 50], 40) = 29.0; numpy.std = 12.884098726725126
        Percentiles p = Percentiles.of(new double[] {50, 15, 40, 20, 35});
        assertThat(p.at(40)).isCloseTo(29.0, within(1e-12));
        assertThat(p.deviation()).isCloseTo(12.884098726725126, within(1e-12));
        assertThat(p.at(100)).isEqualTo(50);
        assertThat(Percentiles.of(new double[0]).mean()).isZero();
    }

    private static ServingResult result() {
        ServingBenchmarkConfig config = ServingBenchmarkConfig.defaults()
                .with("dataset_name", "random-ids")
                .with("cell", "pd")
                .with("output_details", true);
        return new ServingResult(config, ServingMetrics.of(OUTCOMES, 4.0, -1), null, null, OUTCOMES);
    }

    @Test
    void theTableHasSglangsLayoutToTheByte() {
        String expected = """

                ============ Serving Benchmark Result ============
                Backend:                                 sglang
                Traffic request rate:                    inf
                Max request concurrency:                 not set
                Successful requests:                     2
                Benchmark duration (s):                  4.00
                Total input tokens:                      30
                Total input text tokens:                 30
                Total input vision tokens:               0
                Total generated tokens:                  5
                Total generated tokens (retokenized):    5
                Request throughput (req/s):              0.50
                Input token throughput (tok/s):          7.50
                Output token throughput (tok/s):         1.25
                Peak output token throughput (tok/s):    3.00
                Peak concurrent requests:                2
                Total token throughput (tok/s):          8.75
                Concurrency:                             1.00
                ----------------End-to-End Latency----------------
                Mean E2E Latency (ms):                   2000.00
                Median E2E Latency (ms):                 2000.00
                ---------------Time to First Token----------------
                Mean TTFT (ms):                          400.00
                Median TTFT (ms):                        400.00
                P99 TTFT (ms):                           498.00
                -----Time per Output Token (excl. 1st token)------
                Mean TPOT (ms):                          1325.00
                Median TPOT (ms):                        1325.00
                P99 TPOT (ms):                           2084.50
                ---------------Inter-Token Latency----------------
                Mean ITL (ms):                           1000.00
                Median ITL (ms):                         600.00
                P95 ITL (ms):                            1860.00
                P99 ITL (ms):                            1972.00
                Max ITL (ms):                            2000.00
                ==================================================
                """;
        List<String> lines = result().table().lines().toList();
        assertThat(lines.stream().map(String::stripTrailing))
                .containsExactlyElementsOf(expected.lines().toList());
        // Label 40, a space, value 10: the padding is part of the layout.
        assertThat(lines.stream().filter(line -> line.contains(":")))
                .allSatisfy(line -> assertThat(line).hasSize(51));
    }

    @Test
    void theRecordHasSglangsKeysInOrderThenBatonsOwn() {
        JsonNode record = result().record();
        assertThat(record.propertyNames())
                .containsExactly(
                        "tag",
                        "backend",
                        "dataset_name",
                        "request_rate",
                        "max_concurrency",
                        "sharegpt_output_len",
                        "random_input_len",
                        "random_output_len",
                        "random_range_ratio",
                        "server_info",
                        "duration",
                        "completed",
                        "total_input_tokens",
                        "total_input_text_tokens",
                        "total_input_vision_tokens",
                        "total_output_tokens",
                        "total_output_tokens_retokenized",
                        "request_throughput",
                        "input_throughput",
                        "output_throughput",
                        "total_throughput",
                        "mean_e2e_latency_ms",
                        "median_e2e_latency_ms",
                        "std_e2e_latency_ms",
                        "p99_e2e_latency_ms",
                        "mean_ttft_ms",
                        "median_ttft_ms",
                        "std_ttft_ms",
                        "p99_ttft_ms",
                        "mean_tpot_ms",
                        "median_tpot_ms",
                        "std_tpot_ms",
                        "p99_tpot_ms",
                        "mean_itl_ms",
                        "median_itl_ms",
                        "std_itl_ms",
                        "p95_itl_ms",
                        "p99_itl_ms",
                        "concurrency",
                        "accept_length",
                        "max_output_tokens_per_s",
                        "max_concurrent_requests",
                        "failed",
                        "cell",
                        "input_lens",
                        "output_lens",
                        "ttfts",
                        "itls",
                        "generated_texts",
                        "errors");
        assertThat(record.path("failed").asInt()).isEqualTo(1);
        assertThat(record.path("cell").asString()).isEqualTo("pd");
        assertThat(record.path("errors").path(2).asString()).isEqualTo("HTTP 500: x");
    }

    @Test
    void anInfiniteRateIsWrittenBareAndReadBack() {
        String line = result().recordLine();
        assertThat(line).contains("\"request_rate\":Infinity").doesNotContain("\n");
        assertThat(ServingRecord.mapper().readTree(line).path("request_rate").asDouble())
                .isInfinite();
    }
}
