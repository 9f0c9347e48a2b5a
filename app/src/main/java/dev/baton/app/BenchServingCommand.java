package dev.baton.app;

import dev.baton.lab.LabException;
import dev.baton.lab.client.ServingBenchmark;
import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.lab.client.ServingRecord;
import dev.baton.lab.client.ServingResult;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.core.JacksonException;

/**
 * {@code baton bench serving}. The fields tell picocli names and types; only flags that were given are passed on, so that
 * the defaults live in {@link ServingBenchmarkConfig} alone.
 */
@Command(
        name = "serving",
        description = "Sends a workload to a running server and measures it, as SGLang's bench_serving does.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class BenchServingCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Option(
            names = "--backend",
            description = "kind of endpoint: sglang, sglang-oai, sglang-oai-chat, vllm, vllm-chat (default sglang)")
    @Nullable
    String backend;

    @Option(names = "--base-url", paramLabel = "URL", description = "the server, http://host:port")
    @Nullable
    String baseUrl;

    @Option(names = "--host", description = "host without --base-url (default 0.0.0.0: this machine)")
    @Nullable
    String host;

    @Option(names = "--port", description = "port without --base-url (default: the backend's, sglang 30000)")
    @Nullable
    Integer port;

    @Option(
            names = "--dataset-name",
            description = "sharegpt, random, random-ids, generated-shared-prefix (default sharegpt)")
    @Nullable
    String datasetName;

    @Option(
            names = "--dataset-path",
            paramLabel = "FILE",
            description = "file of the sharegpt data set; nothing is downloaded")
    @Nullable
    String datasetPath;

    @Option(
            names = "--model",
            description = "model name in OpenAI bodies, or model directory (default: asks the server)")
    @Nullable
    String model;

    @Option(names = "--served-model-name", description = "model name in OpenAI bodies")
    @Nullable
    String servedModelName;

    @Option(
            names = "--tokenizer",
            paramLabel = "DIR",
            description = "directory of the tokenizer (default: the one the server names)")
    @Nullable
    String tokenizer;

    @Option(names = "--num-prompts", description = "requests (default 1000)")
    @Nullable
    Integer numPrompts;

    @Option(names = "--sharegpt-output-len", description = "answer tokens of every ShareGPT request")
    @Nullable
    Integer sharegptOutputLen;

    @Option(names = "--sharegpt-context-len", description = "drops longer conversations, tokens")
    @Nullable
    Integer sharegptContextLen;

    @Option(names = "--random-input-len", description = "longest random prompt, tokens (default 1024)")
    @Nullable
    Integer randomInputLen;

    @Option(names = "--random-output-len", description = "longest random answer, tokens (default 1024)")
    @Nullable
    Integer randomOutputLen;

    @Option(names = "--random-range-ratio", description = "lengths are uniform in [max(len*ratio,1), len] (default 0)")
    @Nullable
    Double randomRangeRatio;

    @Option(
            names = "--request-rate",
            description = "mean arrivals a second, Poisson; inf sends all at once (default inf)")
    @Nullable
    String requestRate;

    @Option(names = "--max-concurrency", description = "most requests in flight")
    @Nullable
    Integer maxConcurrency;

    @Option(
            names = "--output-file",
            paramLabel = "FILE",
            description = "JSON lines are appended here (default: named after backend, day, workload)")
    @Nullable
    String outputFile;

    @Option(names = "--output-details", description = "adds every request to the record")
    @Nullable
    Boolean outputDetails;

    @Option(names = "--print-requests", description = "prints each request and answer")
    @Nullable
    Boolean printRequests;

    @Option(names = "--disable-tqdm", description = "no progress bar")
    @Nullable
    Boolean disableTqdm;

    @Option(names = "--disable-stream", description = "asks for whole answers")
    @Nullable
    Boolean disableStream;

    @Option(names = "--return-logprob", description = "asks for log-probabilities")
    @Nullable
    Boolean returnLogprob;

    @Option(names = "--seed", description = "of prompts, lengths and arrivals (default 1)")
    @Nullable
    Long seed;

    @Option(names = "--disable-ignore-eos", description = "answers may end by themselves")
    @Nullable
    Boolean disableIgnoreEos;

    @Option(names = "--extra-request-body", paramLabel = "JSON", description = "JSON object merged into every body")
    @Nullable
    String extraRequestBody;

    @Option(names = "--apply-chat-template", description = "not supported; use --backend sglang-oai-chat")
    @Nullable
    Boolean applyChatTemplate;

    @Option(names = "--profile", description = "records a profile around the run")
    @Nullable
    Boolean profile;

    @Option(names = "--profile-activities", arity = "1..*", description = "what to record (default CPU GPU)")
    @Nullable
    List<String> profileActivities;

    @Option(names = "--profile-num-steps", description = "steps to record")
    @Nullable
    Integer profileNumSteps;

    @Option(names = "--profile-by-stage", description = "a trace of prefill and one of decode")
    @Nullable
    Boolean profileByStage;

    @Option(names = "--profile-stages", arity = "1..*", description = "stages to record")
    @Nullable
    List<String> profileStages;

    @Option(names = "--prompt-suffix", description = "appended to every text prompt")
    @Nullable
    String promptSuffix;

    @Option(names = "--pd-separated", description = "the server is a router in front of prefill and decode servers")
    @Nullable
    Boolean pdSeparated;

    @Option(names = "--profile-prefill-url", arity = "1..*", description = "prefill servers to profile")
    @Nullable
    List<String> profilePrefillUrl;

    @Option(names = "--profile-decode-url", arity = "1..*", description = "decode servers to profile")
    @Nullable
    List<String> profileDecodeUrl;

    @Option(names = "--flush-cache", description = "empties the prefix cache before the run")
    @Nullable
    Boolean flushCache;

    @Option(names = "--warmup-requests", description = "requests before the run (default 1)")
    @Nullable
    Integer warmupRequests;

    @Option(names = "--tokenize-prompt", description = "sends ids instead of text")
    @Nullable
    Boolean tokenizePrompt;

    @Option(names = "--gsp-num-groups", description = "generated-shared-prefix: groups (default 64)")
    @Nullable
    Integer gspNumGroups;

    @Option(names = "--gsp-prompts-per-group", description = "generated-shared-prefix: prompts of a group (default 16)")
    @Nullable
    Integer gspPromptsPerGroup;

    @Option(names = "--gsp-system-prompt-len", description = "generated-shared-prefix: shared tokens (default 2048)")
    @Nullable
    Integer gspSystemPromptLen;

    @Option(names = "--gsp-question-len", description = "generated-shared-prefix: own tokens (default 128)")
    @Nullable
    Integer gspQuestionLen;

    @Option(names = "--gsp-output-len", description = "generated-shared-prefix: answer tokens (default 256)")
    @Nullable
    Integer gspOutputLen;

    @Option(
            names = "--gsp-range-ratio",
            description = "generated-shared-prefix: lengths vary from len*ratio to len (default 1)")
    @Nullable
    Double gspRangeRatio;

    @Option(names = "--tag", description = "free text in the record")
    @Nullable
    String tag;

    @Option(names = "--profile-start-step", description = "absolute step at which the profile begins")
    @Nullable
    Long profileStartStep;

    @Option(names = "--profile-prefix", description = "first part of the trace files' names")
    @Nullable
    String profilePrefix;

    @Option(names = "--profile-output-dir", description = "where the servers write their traces")
    @Nullable
    String profileOutputDir;

    @Option(names = "--cell", description = "name of the experiment's cell in the record")
    @Nullable
    String cell;

    @Option(names = "--request-timeout-seconds", description = "a request that takes longer is lost (default 21600)")
    @Nullable
    Double requestTimeoutSeconds;

    @Option(names = "--vocab-size", description = "ids run from 0 to this, without a tokenizer")
    @Nullable
    Integer vocabSize;

    @Option(names = "--warmup-pause-seconds", description = "pause after the warm-up (default 1)")
    @Nullable
    Double warmupPauseSeconds;

    @Override
    public Integer call() {
        Map<String, Object> flags = GivenFlags.of(spec);
        flags.computeIfPresent("extra-request-body", (key, json) -> object((String) json));
        ServingBenchmarkConfig config = ServingBenchmarkConfig.of(flags);
        if (config.outputFile() == null) {
            config = config.with("output_file", ServingRecord.defaultFile(config, LocalDate.now()));
        }
        ServingResult result = ServingBenchmark.run(config);
        System.out.print(result.table());
        return result.metrics().completed() == 0 ? 1 : 0;
    }

    private static Map<?, ?> object(String json) {
        try {
            return ServingRecord.mapper().readValue(json, Map.class);
        } catch (JacksonException e) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "--extra-request-body '" + json + "' is not a JSON object: " + e.getOriginalMessage(),
                    e);
        }
    }
}
