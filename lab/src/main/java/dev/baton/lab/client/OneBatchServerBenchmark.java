package dev.baton.lab.client;

import dev.baton.lab.LabException;
import dev.baton.lab.workload.BenchPrompt;
import dev.baton.lab.workload.Vocabulary;
import dev.baton.lab.workload.Workloads;
import java.io.PrintStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code baton bench one-batch-server}: one streaming {@code /generate} of a whole batch at a time against a running
 * server, so that prefill and decode of a given batch size can be read off apart.
 */
public final class OneBatchServerBenchmark {
    private static final Duration CONTROL = Duration.ofSeconds(60);
    private static final int WARMUP_TOKENS = 16;

    private final OneBatchConfig config;
    private final PrintStream console;
    private final URI target;
    private final ServerCalls calls;
    private final LoadClient client;

    private OneBatchServerBenchmark(OneBatchConfig config, PrintStream console, ServerCalls calls, LoadClient client) {
        this.config = config;
        this.console = console;
        this.target = config.target();
        this.calls = calls;
        this.client = client;
    }

    /**
     * Measures every case; each is appended to {@code config.resultFilename()} as soon as it is known.
     *
     * @throws LabException SERVER when the server is not there or a case fails
     */
    public static List<OneBatchResult> run(OneBatchConfig config, PrintStream console) {
        try (ServerCalls calls = new ServerCalls();
                LoadClient client = new LoadClient(config.target(), 1, System::nanoTime)) {
            return new OneBatchServerBenchmark(config, console, calls, client).run();
        }
    }

    private List<OneBatchResult> run() {
        JsonNode info = calls.json(target, "/get_server_info", CONTROL);
        if (info == null) {
            throw new LabException(
                    LabException.Code.SERVER, target + "/get_server_info does not answer; is the server up?");
        }
        Vocabulary vocabulary = ServedModel.vocabulary(config.vocabSize(), config.tokenizer(), null, target, calls);
        int ids = Workloads.requireSize(vocabulary);
        long capacity = capacity(info);
        int ranks = info.path("tp_size").asInt(1);
        if (!config.skipWarmup()) {
            console.println("Starting warmup...");
            one(
                    config.batchSizes().getFirst(),
                    config.inputLens().getFirst(),
                    Math.min(WARMUP_TOKENS, config.outputLens().getFirst()),
                    ids,
                    ranks);
        }
        List<OneBatchResult> results = new ArrayList<>();
        for (int batch : config.batchSizes()) {
            for (int input : config.inputLens()) {
                for (int output : config.outputLens()) {
                    if ((long) batch * (input + output) > capacity) {
                        console.println("Skipped batch size " + batch + ", input " + input + ", output " + output
                                + ": more than the server's " + capacity + " tokens");
                        continue;
                    }
                    OneBatchResult result = one(batch, input, output, ids, ranks);
                    results.add(result);
                    say(result);
                    if (!config.resultFilename().isEmpty()) {
                        ServingRecord.append(
                                Path.of(config.resultFilename()), ServerCalls.JSON.writeValueAsString(result.record()));
                    }
                    if (config.profile()) {
                        profile(batch, input, output, ids, ranks);
                    }
                }
            }
        }
        return results;
    }

    /** Tokens that the server's cache holds; as many as can be where it does not say. */
    private static long capacity(JsonNode info) {
        JsonNode state = info.path("internal_states").path(0);
        long tokens = state.path("memory_usage").path("token_capacity").asLong(0);
        if (tokens == 0) {
            tokens = info.path("max_total_num_tokens").asLong(0);
        }
        return tokens == 0 ? Long.MAX_VALUE : tokens;
    }

    private OneBatchResult one(int batch, int input, int output, int vocabulary, int ranks) {
        calls.post(target, "/flush_cache", null, CONTROL);
        BatchRecorder recorder = new BatchRecorder(batch, batch * input);
        CompletableFuture<RequestOutcome> done = new CompletableFuture<>();
        client.send(
                "/generate",
                body(batch, input, output, vocabulary),
                recorder,
                (long) (config.requestTimeoutSeconds() * 1e9),
                done::complete);
        RequestOutcome outcome = await(done);
        if (!outcome.success()) {
            throw new LabException(
                    LabException.Code.SERVER,
                    "batch size " + batch + ", input " + input + ", output " + output + " failed: " + outcome.error());
        }
        JsonNode info = calls.json(target, "/get_server_info", CONTROL);
        JsonNode state = info == null ? null : info.path("internal_states").path(0);
        return new OneBatchResult(
                config.runName(),
                batch,
                input,
                output,
                outcome.latencySeconds(),
                recorder.lastTtftSeconds(),
                number(state, "last_gen_throughput"),
                number(state, "avg_spec_accept_length"),
                ranks);
    }

    private static @Nullable Double number(@Nullable JsonNode state, String key) {
        return state != null && state.path(key).isNumber() ? state.path(key).asDouble() : null;
    }

    private byte[] body(int batch, int input, int output, int vocabulary) {
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        ArrayNode prompts = json.putArray("input_ids");
        for (int i = 0; i < batch; i++) {
            double factor = 1 + (i - (batch - 1) / 2.0) * config.inputLenStepPercentage();
            int length = Math.max(1, (int) (input * factor));
            List<BenchPrompt> one =
                    Workloads.random(1, length, output, 1.0, Vocabulary.ofSize(vocabulary), true, config.seed() + i);
            ArrayNode prompt = prompts.addArray();
            for (int id : Objects.requireNonNull(one.getFirst().inputIds())) {
                prompt.add(id);
            }
        }
        ObjectNode sampling = json.putObject("sampling_params");
        sampling.put("temperature", config.temperature());
        sampling.put("max_new_tokens", output);
        sampling.put("ignore_eos", true);
        sampling.put("stream_interval", config.clientStreamInterval());
        json.put("return_logprob", config.returnLogprob());
        json.put("stream", true);
        return ServerCalls.JSON.writeValueAsBytes(json);
    }

    /** A pass of its own, so that recording does not disturb what was measured. */
    private void profile(int batch, int input, int output, int vocabulary, int ranks) {
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        json.put("num_steps", config.profileSteps());
        json.put("profile_by_stage", config.profileByStage());
        String prefix = config.profilePrefix() == null ? "" : config.profilePrefix();
        json.put("profile_prefix", prefix + "bs-" + batch + "-il-" + input);
        if (config.profileOutputDir() != null) {
            json.put("output_dir", config.profileOutputDir());
        }
        ServerCalls.Reply reply = calls.post(target, "/start_profile", json, CONTROL);
        if (!reply.ok()) {
            throw new LabException(
                    LabException.Code.SERVER, "/start_profile answered " + reply.status() + ": " + reply.body());
        }
        one(batch, input, output, vocabulary, ranks);
    }

    private static RequestOutcome await(CompletableFuture<RequestOutcome> done) {
        try {
            return done.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "the benchmark was interrupted", e);
        } catch (ExecutionException e) {
            throw new LabException(LabException.Code.SERVER, "the batch failed: " + e.getCause(), e);
        }
    }

    private void say(OneBatchResult r) {
        console.printf(
                Locale.ROOT,
                "batch size: %d%ninput_len: %d%noutput_len: %d%nlatency: %.2f s%ninput throughput: %.2f tok/s%n"
                        + "output throughput: %.2f tok/s%nlast_ttft: %.2f s%nlast generation throughput: %s tok/s%n%n",
                r.batchSize(),
                r.inputLen(),
                r.outputLen(),
                r.latencySeconds(),
                r.inputThroughput(),
                r.outputThroughput(),
                r.lastTtftSeconds(),
                r.lastGenThroughput() == null ? "n/a" : String.format(Locale.ROOT, "%.2f", r.lastGenThroughput()));
    }

    /** The Markdown table. */
    public static String report(List<OneBatchResult> results) {
        StringBuilder out = new StringBuilder("| batch size | input len | latency (s) | input throughput (tok/s)  |"
                + " output throughput (tok/s) | acc length | ITL (ms) | input cost ($/1M) | output cost ($/1M) |\n"
                + "| ---------- | --------- | ----------- | ------------------------- |"
                + " ------------------------- | ---------- | -------- | ----------------- | ------------------ |\n");
        for (OneBatchResult r : results) {
            out.append(String.format(
                    Locale.ROOT,
                    "| %d | %d | %.2f | %.2f | %.2f | %s | %.2f | %.2f | %.2f |%n",
                    r.batchSize(),
                    r.inputLen(),
                    r.latencySeconds(),
                    r.inputThroughput(),
                    r.outputThroughput(),
                    r.acceptLength() == null ? "n/a" : String.format(Locale.ROOT, "%.2f", r.acceptLength()),
                    r.itlMillis(),
                    r.inputCost(),
                    r.outputCost()));
        }
        return out.toString();
    }
}
