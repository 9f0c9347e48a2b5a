package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.bool;
import static dev.baton.protocol.request.JsonBody.integer;
import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;
import static dev.baton.protocol.request.JsonBody.longInteger;
import static dev.baton.protocol.request.JsonBody.meant;
import static dev.baton.protocol.request.JsonBody.number;
import static dev.baton.protocol.request.JsonBody.strings;

import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.SamplingParams;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Collects sampling fields under the names that {@code sampling_params} and the OpenAI bodies give them. */
final class SamplingFields {
    static final Set<String> NATIVE = Set.of(
            "max_new_tokens",
            "min_new_tokens",
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "frequency_penalty",
            "presence_penalty",
            "repetition_penalty",
            "stop",
            "stop_token_ids",
            "stop_regex",
            "n",
            "json_schema",
            "regex",
            "ebnf",
            "structural_tag",
            "ignore_eos",
            "skip_special_tokens",
            "spaces_between_special_tokens",
            "no_stop_trim",
            "custom_params",
            "stream_interval",
            "logit_bias",
            "sampling_seed");

    private final String prefix;
    private final SamplingParams.Builder params;
    private @Nullable GrammarSpec grammar;
    private int streamInterval;

    /**
     * @param prefix put before field names in errors ({@code "sampling_params."} or nothing)
     * @param defaults what holds for fields that the body leaves out or sets to null
     */
    SamplingFields(String prefix, SamplingParams defaults) {
        this.prefix = prefix;
        params = defaults.toBuilder();
    }

    /** The object {@code sampling_params}; an unknown key is an error. */
    static SamplingFields nativeObject(String field, JsonParser parser) {
        SamplingFields fields = new SamplingFields(field + ".", SamplingParams.DEFAULT);
        if (isNull(parser)) {
            return fields;
        }
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw JsonBody.wrong(field, "an object", parser);
        }
        JsonBody.fields(parser, (name, p) -> {
            if (!NATIVE.contains(name)) {
                throw invalid("Unknown key '" + name + "' in " + field + "." + meant(name, NATIVE));
            }
            fields.read(name, p);
        });
        return fields;
    }

    /** Reads one field; false when the name is none of the sampling fields (the value is untouched then). */
    boolean read(String name, JsonParser parser) {
        if (!NATIVE.contains(name)) {
            return false;
        }
        String field = prefix + name;
        if (name.equals("custom_params")) {
            refuseUnlessEmpty(field, parser);
        } else if (isNull(parser)) {
            if (name.equals("max_new_tokens")) {
                params.maxNewTokens(GenerateRequest.REST_OF_CONTEXT);
            }
        } else {
            set(name, field, parser);
        }
        return true;
    }

    private void set(String name, String field, JsonParser parser) {
        switch (name) {
            case "max_new_tokens" -> params.maxNewTokens(integer(field, parser));
            case "min_new_tokens" -> params.minNewTokens(integer(field, parser));
            case "temperature" -> params.temperature((float) number(field, parser));
            case "top_p" -> params.topP((float) number(field, parser));
            case "top_k" -> params.topK(integer(field, parser));
            case "min_p" -> params.minP((float) number(field, parser));
            case "frequency_penalty" -> params.frequencyPenalty((float) number(field, parser));
            case "presence_penalty" -> params.presencePenalty((float) number(field, parser));
            case "repetition_penalty" -> params.repetitionPenalty((float) number(field, parser));
            case "stop" -> params.stop(nonEmpty(field, strings(field, parser)));
            case "stop_regex" -> params.stopRegex(nonEmpty(field, strings(field, parser)));
            case "stop_token_ids" ->
                params.stopTokenIds(java.util.Arrays.stream(JsonBody.ids(field, parser))
                        .boxed()
                        .toList());
            case "n" -> params.n(integer(field, parser));
            case "ignore_eos" -> params.ignoreEos(bool(field, parser));
            case "skip_special_tokens" -> params.skipSpecialTokens(bool(field, parser));
            case "spaces_between_special_tokens" -> params.spacesBetweenSpecialTokens(bool(field, parser));
            case "no_stop_trim" -> params.noStopTrim(bool(field, parser));
            case "stream_interval" -> streamInterval = positive(field, integer(field, parser));
            case "logit_bias" -> params.logitBias(bias(field, parser));
            case "sampling_seed" -> params.seed(longInteger(field, parser));
            case "regex" -> grammar(GrammarSpec.Kind.REGEX, JsonBody.string(field, parser));
            case "ebnf" -> grammar(GrammarSpec.Kind.EBNF, JsonBody.string(field, parser));
            case "json_schema" -> grammar(GrammarSpec.Kind.JSON_SCHEMA, JsonBody.textOrJson(field, parser));
            case "structural_tag" -> grammar(GrammarSpec.Kind.STRUCTURAL_TAG, JsonBody.textOrJson(field, parser));
            default -> throw new IllegalStateException(name);
        }
    }

    /** What the answer must match; an empty text asks for nothing. */
    void grammar(GrammarSpec.Kind kind, String text) {
        if (text.isEmpty()) {
            return;
        }
        if (grammar != null) {
            throw invalid("Only one of regex, json_schema, or ebnf can be set. ("
                    + grammar.kind().field() + " and " + kind.field() + " are.)");
        }
        grammar = new GrammarSpec(kind, text);
    }

    void maxNewTokens(int tokens) {
        params.maxNewTokens(tokens);
    }

    void minNewTokens(int tokens) {
        params.minNewTokens(tokens);
    }

    void seed(long value) {
        params.seed(value);
    }

    /** Frames every this many tokens; 0 leaves it to the server. */
    int streamInterval() {
        return streamInterval;
    }

    SamplingParams params() {
        return params.grammar(grammar).build();
    }

    private static List<String> nonEmpty(String field, List<String> list) {
        for (String text : list) {
            if (text.isEmpty()) {
                throw invalid(field + " must not hold an empty string.");
            }
        }
        return list;
    }

    private static int positive(String field, int value) {
        if (value < 1) {
            throw invalid(field + " must be at least 1, got " + value + ".");
        }
        return value;
    }

    private static Map<Integer, Float> bias(String field, JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw JsonBody.wrong(field, "an object of token id to bias", parser);
        }
        Map<Integer, Float> bias = new LinkedHashMap<>();
        JsonBody.fields(parser, (id, p) -> {
            try {
                bias.put(Integer.valueOf(id), (float) number(field + "." + id, p));
            } catch (NumberFormatException e) {
                throw invalid(field + " must have token ids as keys, got '" + id + "'.");
            }
        });
        return bias;
    }

    /** Null, false, an empty string, list or object say nothing; anything else asks for what is not there yet. */
    static void refuseUnlessEmpty(String field, JsonParser parser) {
        Object value = JsonBody.any(parser);
        boolean empty = switch (value) {
            case null -> true;
            case Boolean b -> !b;
            case String s -> s.isEmpty();
            case List<?> l -> l.stream().allMatch(java.util.Objects::isNull);
            case Map<?, ?> m -> m.isEmpty();
            default -> false;
        };
        if (!empty) {
            throw invalid(field + " is not supported yet; leave it out.");
        }
    }
}
