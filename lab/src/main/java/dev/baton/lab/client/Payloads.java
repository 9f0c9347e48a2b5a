package dev.baton.lab.client;

import dev.baton.lab.LabException;
import dev.baton.lab.workload.BenchPrompt;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The request bodies of the benchmark. */
final class Payloads {
    private final ServingBenchmarkConfig config;
    private final String model;

    Payloads(ServingBenchmarkConfig config, @Nullable String model) {
        this.config = config;
        this.model = model == null ? "default" : model;
    }

    byte[] body(BenchPrompt prompt) {
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        switch (config.backend().form()) {
            case GENERATE -> generate(json, prompt);
            case COMPLETIONS -> completions(json, prompt);
            case CHAT -> chat(json, prompt);
        }
        Map<String, Object> extra = config.extraRequestBody();
        if (extra != null) {
            extra.forEach((key, value) -> merge(json, key, ServerCalls.JSON.valueToTree(value)));
        }
        return ServerCalls.JSON.writeValueAsBytes(json);
    }

    /** Objects are merged key by key, so that a sampling parameter can be added without repeating the others. */
    private static void merge(ObjectNode into, String key, JsonNode value) {
        if (value.isObject() && into.get(key) instanceof ObjectNode inner) {
            value.properties().forEach(entry -> merge(inner, entry.getKey(), entry.getValue()));
        } else {
            into.set(key, value);
        }
    }

    private void generate(ObjectNode json, BenchPrompt prompt) {
        if (prompt.text() != null) {
            json.put("text", prompt.text() + config.promptSuffix());
        } else {
            ids(json.putArray("input_ids"), Objects.requireNonNull(prompt.inputIds()));
        }
        ObjectNode sampling = json.putObject("sampling_params");
        sampling.put("temperature", 0.0);
        sampling.put("max_new_tokens", prompt.outputTokens());
        sampling.put("ignore_eos", !config.disableIgnoreEos());
        json.put("stream", !config.disableStream());
        json.put("return_logprob", config.returnLogprob());
        json.put("logprob_start_len", -1);
    }

    private void completions(ObjectNode json, BenchPrompt prompt) {
        json.put("model", model);
        if (prompt.text() != null) {
            json.put("prompt", prompt.text() + config.promptSuffix());
        } else {
            ids(json.putArray("prompt"), Objects.requireNonNull(prompt.inputIds()));
        }
        json.put("temperature", 0.0);
        json.put("best_of", 1);
        json.put("max_tokens", prompt.outputTokens());
        streaming(json);
        if (config.returnLogprob()) {
            json.put("logprobs", 1);
        }
    }

    private void chat(ObjectNode json, BenchPrompt prompt) {
        if (prompt.text() == null) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    "backend " + config.backend()
                            + " needs text prompts; give --tokenizer DIR so that random ids become text");
        }
        json.put("model", model);
        ObjectNode message = json.putArray("messages").addObject();
        message.put("role", "user");
        message.put("content", prompt.text() + config.promptSuffix());
        json.put("temperature", 0.0);
        json.put("max_completion_tokens", prompt.outputTokens());
        streaming(json);
        if (config.returnLogprob()) {
            json.put("logprobs", true);
        }
    }

    private void streaming(ObjectNode json) {
        json.put("stream", !config.disableStream());
        json.put("ignore_eos", !config.disableIgnoreEos());
        if (!config.disableStream()) {
            // Without usage the number of answer tokens would be a guess.
            json.putObject("stream_options").put("include_usage", true);
        }
    }

    private static void ids(ArrayNode array, int[] ids) {
        for (int id : ids) {
            array.add(id);
        }
    }
}
