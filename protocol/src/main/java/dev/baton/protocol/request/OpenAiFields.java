package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.bool;
import static dev.baton.protocol.request.JsonBody.integer;
import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;
import static dev.baton.protocol.request.JsonBody.longInteger;
import static dev.baton.protocol.request.JsonBody.string;

import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** The fields that completion and chat bodies share, while they are read. Unknown fields are passed over, as there. */
final class OpenAiFields {
    private static final Set<String> NOT_YET =
            Set.of("lora_path", "session_params", "custom_logit_processor", "return_hidden_states", "suffix");

    private final SamplingFields sampling;
    private String model = "default";
    private boolean stream;
    private boolean includeUsage;
    private boolean continuousUsage;
    private @Nullable String rid;
    private List<@Nullable String> hosts = List.of();
    private List<@Nullable Integer> ports = List.of();
    private List<@Nullable Long> rooms = List.of();
    private List<@Nullable String> salts = List.of();
    private List<@Nullable String> extraKeys = List.of();
    private @Nullable Integer dataParallelRank;

    OpenAiFields(SamplingParams defaults) {
        sampling = new SamplingFields("", defaults);
    }

    SamplingFields sampling() {
        return sampling;
    }

    /** Reads the field or passes over it. */
    void read(String name, JsonParser parser) {
        if (NOT_YET.contains(name)) {
            SamplingFields.refuseUnlessEmpty(name, parser);
        } else if (name.equals("max_new_tokens") || name.equals("stream_interval")) {
            parser.skipChildren();
        } else if (!sampling.read(name, parser)) {
            if (isNull(parser)) {
                return;
            }
            other(name, parser);
        }
    }

    private void other(String name, JsonParser parser) {
        switch (name) {
            case "model" -> model = string(name, parser);
            case "stream" -> stream = bool(name, parser);
            case "stream_options" -> streamOptions(parser);
            case "max_tokens", "max_completion_tokens" -> sampling.maxNewTokens(integer(name, parser));
            case "min_tokens" -> sampling.minNewTokens(integer(name, parser));
            case "seed" -> sampling.seed(longInteger(name, parser));
            case "response_format" -> responseFormat(parser);
            case "rid" -> rid = string(name, parser);
            case "bootstrap_host" -> hosts = list(name, parser, JsonBody::string);
            case "bootstrap_port" -> ports = list(name, parser, JsonBody::integer);
            case "bootstrap_room" -> rooms = list(name, parser, JsonBody::longInteger);
            case "cache_salt" -> salts = list(name, parser, JsonBody::string);
            case "extra_key" -> extraKeys = list(name, parser, JsonBody::string);
            case "data_parallel_rank", "routed_dp_rank" -> dataParallelRank = integer(name, parser);
            default -> parser.skipChildren();
        }
    }

    /** One value, or one a prompt as a router sends them. */
    private static <T> List<@Nullable T> list(
            String name, JsonParser parser, BiFunction<String, JsonParser, T> reader) {
        List<@Nullable T> values = new ArrayList<>();
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            values.add(reader.apply(name, parser));
        } else {
            JsonBody.array(name, "a value", parser, (n, p) -> values.add(isNull(p) ? null : reader.apply(n, p)));
        }
        return values;
    }

    private static <T> @Nullable T at(List<@Nullable T> values, int i) {
        return values.isEmpty() ? null : values.get(Math.min(i, values.size() - 1));
    }

    private List<BootstrapFields> bootstraps() {
        List<BootstrapFields> list = new ArrayList<>();
        for (int i = 0; i < rooms.size(); i++) {
            Long room = rooms.get(i);
            Integer port = at(ports, i);
            if (room != null && room < 0) {
                throw invalid("bootstrap_room must be in [0, 2^63), got " + room + ".");
            }
            if (port != null && (port < 0 || port > 65_535)) {
                throw invalid("bootstrap_port must be in [0, 65535], got " + port + ".");
            }
            list.add(new BootstrapFields(at(hosts, i), port, room));
        }
        return list;
    }

    /** The two names are one key, as there: the one behind the other. */
    private List<String> cacheSalts() {
        List<String> list = new ArrayList<>();
        for (int i = 0; i < Math.max(salts.size(), extraKeys.size()); i++) {
            list.add(Objects.requireNonNullElse(at(salts, i), "") + Objects.requireNonNullElse(at(extraKeys, i), ""));
        }
        return list;
    }

    private void streamOptions(JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw JsonBody.wrong("stream_options", "an object", parser);
        }
        JsonBody.fields(parser, (name, p) -> {
            switch (name) {
                case "include_usage" -> includeUsage = !isNull(p) && bool("stream_options." + name, p);
                case "continuous_usage_stats" -> continuousUsage = !isNull(p) && bool("stream_options." + name, p);
                default -> p.skipChildren();
            }
        });
    }

    private void responseFormat(JsonParser parser) {
        Object format = JsonBody.any(parser);
        if (!(format instanceof Map<?, ?> map)) {
            throw invalid("response_format must be an object.");
        }
        switch (String.valueOf(map.get("type"))) {
            case "text" -> {}
            case "json_object" -> sampling.grammar(GrammarSpec.Kind.JSON_SCHEMA, GrammarSpec.ANY_OBJECT);
            case "json_schema" -> {
                if (!(map.get("json_schema") instanceof Map<?, ?> named)
                        || !(named.get("schema") instanceof Map<?, ?> schema)) {
                    throw invalid("response_format.json_schema must be an object with 'name' and 'schema'.");
                }
                sampling.grammar(GrammarSpec.Kind.JSON_SCHEMA, JsonBody.json(schema));
            }
            case "structural_tag" -> sampling.grammar(GrammarSpec.Kind.STRUCTURAL_TAG, JsonBody.json(map));
            default ->
                throw invalid("response_format.type must be text, json_object, json_schema or structural_tag, got "
                        + map.get("type") + ".");
        }
    }

    OpenAiOptions options() {
        return new OpenAiOptions(
                model,
                stream,
                includeUsage,
                continuousUsage,
                sampling.params(),
                rid,
                bootstraps(),
                cacheSalts(),
                dataParallelRank);
    }
}
