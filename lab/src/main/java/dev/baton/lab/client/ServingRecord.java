package dev.baton.lab.client;

import dev.baton.lab.LabException;
import dev.baton.lab.workload.DatasetName;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The line that a run appends to its result file. */
public final class ServingRecord {
    private ServingRecord() {}

    /** A mapper that reads result files, bare {@code Infinity} and {@code NaN} included, and writes them so. */
    public static JsonMapper mapper() {
        return ServerCalls.JSON;
    }

    /** The name of the result file when none is given. */
    public static String defaultFile(ServingBenchmarkConfig config, LocalDate day) {
        String name =
                config.backend() + "_" + DateTimeFormatter.ofPattern("MMdd").format(day) + "_" + config.numPrompts();
        boolean random = config.datasetName() == DatasetName.RANDOM || config.datasetName() == DatasetName.RANDOM_IDS;
        return random
                ? name + "_" + config.randomInputLen() + "_" + config.randomOutputLen() + ".jsonl"
                : name + "_" + config.datasetName() + ".jsonl";
    }

    static String line(ServingResult result) {
        return ServerCalls.JSON.writeValueAsString(of(result));
    }

    /** Appends one line; makes the file and its directory when they are missing. */
    static void append(Path file, String line) {
        try {
            Path parent = file.toAbsolutePath().getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
            Files.writeString(
                    file, line + "\n", StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException | UncheckedIOException e) {
            throw new LabException(LabException.Code.IO, "result file " + file + " cannot be written: " + e, e);
        }
    }

    static JsonNode of(ServingResult result) {
        ServingBenchmarkConfig config = result.config();
        ServingMetrics m = result.metrics();
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        json.put("tag", config.tag());
        json.put("backend", config.backend().wire());
        json.put("dataset_name", config.datasetName().wire());
        json.put("request_rate", config.requestRate());
        json.put("max_concurrency", config.maxConcurrency());
        json.put("sharegpt_output_len", config.sharegptOutputLen());
        json.put("random_input_len", config.randomInputLen());
        json.put("random_output_len", config.randomOutputLen());
        json.put("random_range_ratio", config.randomRangeRatio());
        json.set("server_info", result.serverInfo());
        json.put("duration", m.durationSeconds());
        json.put("completed", m.completed());
        json.put("total_input_tokens", m.totalInputTokens());
        json.put("total_input_text_tokens", m.totalInputTokens());
        json.put("total_input_vision_tokens", 0);
        json.put("total_output_tokens", m.totalOutputTokens());
        json.put("total_output_tokens_retokenized", m.totalOutputTokensRetokenized());
        json.put("request_throughput", m.requestThroughput());
        json.put("input_throughput", m.inputThroughput());
        json.put("output_throughput", m.outputThroughput());
        json.put("total_throughput", m.totalThroughput());
        latencies(json, "e2e_latency_ms", m.e2eMillis(), false);
        latencies(json, "ttft_ms", m.ttftMillis(), false);
        latencies(json, "tpot_ms", m.tpotMillis(), false);
        latencies(json, "itl_ms", m.itlMillis(), true);
        json.put("concurrency", m.concurrency());
        json.put("accept_length", result.acceptLength());
        json.put("max_output_tokens_per_s", m.peakOutputTokensPerSecond());
        json.put("max_concurrent_requests", m.peakConcurrentRequests());
        json.put("failed", m.failed());
        json.put("cell", config.cell());
        if (config.outputDetails()) {
            details(json, result.outcomes());
        }
        return json;
    }

    private static void latencies(ObjectNode json, String name, Percentiles values, boolean withP95) {
        json.put("mean_" + name, values.mean());
        json.put("median_" + name, values.median());
        json.put("std_" + name, values.deviation());
        if (withP95) {
            json.put("p95_" + name, values.at(95));
        }
        json.put("p99_" + name, values.at(99));
    }

    private static void details(ObjectNode json, List<RequestOutcome> outcomes) {
        ArrayNode inputs = json.putArray("input_lens");
        ArrayNode outputs = json.putArray("output_lens");
        ArrayNode ttfts = json.putArray("ttfts");
        ArrayNode itls = json.putArray("itls");
        ArrayNode texts = json.putArray("generated_texts");
        ArrayNode errors = json.putArray("errors");
        for (RequestOutcome outcome : outcomes) {
            inputs.add(outcome.promptTokens());
            outputs.add(outcome.outputTokens());
            ttfts.add(outcome.ttftSeconds());
            ArrayNode gaps = itls.addArray();
            for (double gap : outcome.itlSeconds()) {
                gaps.add(gap);
            }
            texts.add(outcome.generatedText());
            errors.add(outcome.error());
        }
    }
}
