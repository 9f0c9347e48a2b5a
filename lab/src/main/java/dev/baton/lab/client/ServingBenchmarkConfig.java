package dev.baton.lab.client;

import dev.baton.lab.LabException;
import dev.baton.lab.workload.DatasetName;
import dev.baton.protocol.Suggestion;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The flags of {@code baton bench serving}, one component a flag: the component {@code randomInputLen} is the flag
 * {@code --random-input-len} and the key {@code random_input_len}. Names and defaults are SGLang's; the last four are
 * Baton's own.
 *
 * @param backend kind of endpoint
 * @param baseUrl {@code http://host:port}; null builds it from host and port
 * @param host host when there is no base URL
 * @param port port when there is no base URL; null is the backend's own
 * @param datasetName where prompts come from
 * @param datasetPath file of the {@code sharegpt} data set
 * @param model model name in OpenAI bodies, or a model directory; null asks {@code /v1/models}
 * @param servedModelName model name in OpenAI bodies when it is not {@code model}
 * @param tokenizer directory of the tokenizer; null takes what the server names, when it is on this machine
 * @param numPrompts requests to send
 * @param sharegptOutputLen output length of every ShareGPT request, tokens; null takes the reference answer's
 * @param sharegptContextLen drops conversations longer than this, tokens
 * @param randomInputLen longest random prompt, tokens
 * @param randomOutputLen longest random answer, tokens
 * @param randomRangeRatio lengths are uniform in [max(floor(len*ratio),1), len]
 * @param requestRate mean arrivals a second (Poisson); infinity sends everything at once
 * @param maxConcurrency most requests in flight; null does not limit
 * @param outputFile JSON lines are appended here; null writes none
 * @param outputDetails adds the arrays of every request to the record
 * @param printRequests prints each request and its answer
 * @param disableTqdm no progress bar
 * @param disableStream asks for whole answers
 * @param returnLogprob asks for log-probabilities
 * @param seed of prompts, lengths and arrivals
 * @param disableIgnoreEos lets answers end at the end-of-sequence token
 * @param extraRequestBody merged into every body; null adds nothing
 * @param applyChatTemplate refused: prompts are sent as they are
 * @param profile records a profile around the run
 * @param profileActivities what to record
 * @param profileNumSteps steps to record; null records until the run ends
 * @param profileByStage a trace of prefill and one of decode
 * @param profileStages stages to record; null records all
 * @param promptSuffix appended to every text prompt
 * @param pdSeparated base URL is a router in front of prefill and decode servers
 * @param profilePrefillUrl prefill servers to profile
 * @param profileDecodeUrl decode servers to profile; not together with the prefill servers
 * @param flushCache empties the server's prefix cache before the run
 * @param warmupRequests copies of the first request sent before the run
 * @param tokenizePrompt sends ids instead of text
 * @param gspNumGroups generated-shared-prefix: groups
 * @param gspPromptsPerGroup generated-shared-prefix: prompts of a group
 * @param gspSystemPromptLen generated-shared-prefix: shared tokens
 * @param gspQuestionLen generated-shared-prefix: tokens of a prompt's own
 * @param gspOutputLen generated-shared-prefix: answer tokens
 * @param gspRangeRatio generated-shared-prefix: lengths vary from len*ratio to len
 * @param tag free text in the record
 * @param profileStartStep absolute step at which the profile begins
 * @param profilePrefix first part of the trace files' names
 * @param profileOutputDir where the servers write their traces
 * @param cell name of the experiment's cell, in the record
 * @param requestTimeoutSeconds a request that takes longer counts as lost
 * @param vocabSize ids run from 0 to this where no tokenizer is known; null asks the server's model directory
 * @param warmupPauseSeconds pause between warm-up and run, seconds
 */
public record ServingBenchmarkConfig(
        Backend backend,
        @Nullable String baseUrl,
        String host,
        @Nullable Integer port,
        DatasetName datasetName,
        String datasetPath,
        @Nullable String model,
        @Nullable String servedModelName,
        @Nullable String tokenizer,
        int numPrompts,
        @Nullable Integer sharegptOutputLen,
        @Nullable Integer sharegptContextLen,
        int randomInputLen,
        int randomOutputLen,
        double randomRangeRatio,
        double requestRate,
        @Nullable Integer maxConcurrency,
        @Nullable String outputFile,
        boolean outputDetails,
        boolean printRequests,
        boolean disableTqdm,
        boolean disableStream,
        boolean returnLogprob,
        long seed,
        boolean disableIgnoreEos,
        @Nullable Map<String, Object> extraRequestBody,
        boolean applyChatTemplate,
        boolean profile,
        List<String> profileActivities,
        @Nullable Integer profileNumSteps,
        boolean profileByStage,
        @Nullable List<String> profileStages,
        String promptSuffix,
        boolean pdSeparated,
        @Nullable List<String> profilePrefillUrl,
        @Nullable List<String> profileDecodeUrl,
        boolean flushCache,
        int warmupRequests,
        boolean tokenizePrompt,
        int gspNumGroups,
        int gspPromptsPerGroup,
        int gspSystemPromptLen,
        int gspQuestionLen,
        int gspOutputLen,
        double gspRangeRatio,
        @Nullable String tag,
        @Nullable Long profileStartStep,
        @Nullable String profilePrefix,
        @Nullable String profileOutputDir,
        @Nullable String cell,
        double requestTimeoutSeconds,
        @Nullable Integer vocabSize,
        double warmupPauseSeconds) {

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    public ServingBenchmarkConfig {
        profileActivities = List.copyOf(profileActivities);
        profileStages = profileStages == null ? null : List.copyOf(profileStages);
        profilePrefillUrl = profilePrefillUrl == null ? null : List.copyOf(profilePrefillUrl);
        profileDecodeUrl = profileDecodeUrl == null ? null : List.copyOf(profileDecodeUrl);
        atLeast("num_prompts", numPrompts, 1);
        atLeast("random_input_len", randomInputLen, 1);
        atLeast("random_output_len", randomOutputLen, 1);
        atLeast("warmup_requests", warmupRequests, 0);
        atLeast("gsp_num_groups", gspNumGroups, 1);
        atLeast("gsp_prompts_per_group", gspPromptsPerGroup, 1);
        atLeast("gsp_system_prompt_len", gspSystemPromptLen, 1);
        atLeast("gsp_question_len", gspQuestionLen, 1);
        atLeast("gsp_output_len", gspOutputLen, 1);
        if (maxConcurrency != null) {
            atLeast("max_concurrency", maxConcurrency, 1);
        }
        within("random_range_ratio", randomRangeRatio, 0, 1);
        within("gsp_range_ratio", gspRangeRatio, 0, 1);
        if (!(requestRate > 0)) {
            throw invalid("request_rate is " + requestRate + "; give requests a second above 0, or inf");
        }
        if (!(requestTimeoutSeconds > 0)) {
            throw invalid("request_timeout_seconds is " + requestTimeoutSeconds + "; give seconds above 0");
        }
        if (profilePrefillUrl != null && profileDecodeUrl != null) {
            throw invalid("profile_prefill_url and profile_decode_url are both given; profile one side a run");
        }
        if (tokenizePrompt && backend.form() != Backend.Form.GENERATE) {
            throw invalid("tokenize_prompt needs backend sglang, not " + backend);
        }
        if (applyChatTemplate) {
            throw invalid("apply_chat_template is not supported; use backend sglang-oai-chat");
        }
    }

    /** SGLang's defaults. */
    public static ServingBenchmarkConfig defaults() {
        return new ServingBenchmarkConfig(
                Backend.SGLANG,
                null,
                "0.0.0.0",
                null,
                DatasetName.SHAREGPT,
                "",
                null,
                null,
                null,
                1000,
                null,
                null,
                1024,
                1024,
                0.0,
                Double.POSITIVE_INFINITY,
                null,
                null,
                false,
                false,
                false,
                false,
                false,
                1L,
                false,
                null,
                false,
                false,
                List.of("CPU", "GPU"),
                null,
                false,
                null,
                "",
                false,
                null,
                null,
                false,
                1,
                false,
                64,
                16,
                2048,
                128,
                256,
                1.0,
                null,
                null,
                null,
                null,
                null,
                21_600,
                null,
                1.0);
    }

    /**
     * The defaults with these keys set, named as the flags without dashes in front ({@code random_input_len} or
     * {@code random-input-len}).
     *
     * @throws LabException INVALID_CONFIG naming the key when it is unknown or its value cannot be
     */
    public static ServingBenchmarkConfig of(Map<String, ?> flags) {
        return defaults().with(flags);
    }

    /** This configuration with one key set. */
    public ServingBenchmarkConfig with(String key, @Nullable Object value) {
        Map<String, @Nullable Object> one = new LinkedHashMap<>();
        one.put(key, value);
        return with(one);
    }

    /** This configuration with these keys set. */
    public ServingBenchmarkConfig with(Map<String, ? extends @Nullable Object> flags) {
        ObjectNode tree = MAPPER.valueToTree(this);
        for (Map.Entry<String, ? extends @Nullable Object> flag : flags.entrySet()) {
            String key = flag.getKey().replace('-', '_');
            if (!tree.has(key)) {
                throw invalid("unknown key '" + flag.getKey() + "'"
                        + Suggestion.of(key, tree.propertyNames())
                                .map(name -> "; did you mean '" + name + "'?")
                                .orElse(""));
            }
            tree.set(key, MAPPER.valueToTree(number(flag.getValue())));
        }
        try {
            return MAPPER.treeToValue(tree, ServingBenchmarkConfig.class);
        } catch (JacksonException e) {
            throw rethrow(e);
        }
    }

    /** Where the server is, without a slash at the end. */
    public URI target() {
        String url = baseUrl != null
                ? baseUrl
                : "http://" + (host.equals("0.0.0.0") ? "127.0.0.1" : host) + ":"
                        + (port != null ? port : backend.defaultPort());
        return ServerCalls.uri(url);
    }

    /** All keys and values in the order of the components. */
    public JsonNode toJson() {
        return MAPPER.valueToTree(this);
    }

    private static @Nullable Object number(@Nullable Object value) {
        return value instanceof String text && (text.equals("inf") || text.equals("Infinity"))
                ? (Object) Double.POSITIVE_INFINITY
                : value;
    }

    private static LabException rethrow(JacksonException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof LabException lab) {
                return lab;
            }
        }
        String path = e.getPath().isEmpty() ? "" : e.getPath().getFirst().getPropertyName() + ": ";
        String text = e instanceof UnrecognizedPropertyException u
                ? "unknown key " + u.getPropertyName()
                : e.getOriginalMessage();
        return new LabException(LabException.Code.INVALID_CONFIG, path + text, e);
    }

    private static void atLeast(String key, int value, int least) {
        if (value < least) {
            throw invalid(key + " is " + value + "; give " + least + " or more");
        }
    }

    private static void within(String key, double value, double least, double most) {
        if (!(value >= least && value <= most)) {
            throw invalid(key + " is " + value + "; give a number from " + least + " to " + most);
        }
    }

    private static LabException invalid(String message) {
        return new LabException(LabException.Code.INVALID_CONFIG, message);
    }
}
