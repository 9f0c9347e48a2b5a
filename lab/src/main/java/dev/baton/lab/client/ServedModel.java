package dev.baton.lab.client;

import dev.baton.lab.workload.Vocabulary;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * The model under test, as far as the client knows it.
 *
 * @param name model name for OpenAI bodies, or null
 * @param vocabulary its tokens; size 0 when unknown
 */
record ServedModel(@Nullable String name, Vocabulary vocabulary) {
    private static final Duration DEADLINE = Duration.ofSeconds(30);

    /** Asks the server for what the flags do not say. */
    static ServedModel of(ServingBenchmarkConfig config, URI target, ServerCalls calls, boolean needsVocabulary) {
        String name = config.servedModelName() != null ? config.servedModelName() : config.model();
        if (name == null && config.backend().form() != Backend.Form.GENERATE) {
            JsonNode models = calls.json(target, "/v1/models", DEADLINE);
            JsonNode id = models == null ? null : models.path("data").path(0).path("id");
            name = id != null && id.isString() ? id.asString() : null;
        }
        return new ServedModel(name, needsVocabulary ? vocabulary(config, target, calls) : Vocabulary.ofSize(0));
    }

    private static Vocabulary vocabulary(ServingBenchmarkConfig config, URI target, ServerCalls calls) {
        if (config.vocabSize() != null) {
            return Vocabulary.ofSize(config.vocabSize());
        }
        List<String> places = new ArrayList<>();
        if (config.tokenizer() != null) {
            places.add(config.tokenizer());
        } else {
            if (config.model() != null) {
                places.add(config.model());
            }
            JsonNode info = calls.json(target, "/get_model_info", DEADLINE);
            if (info != null) {
                places.add(info.path("tokenizer_path").asString(""));
                places.add(info.path("model_path").asString(""));
            }
        }
        for (String place : places) {
            Path directory = Path.of(place);
            if (!place.isEmpty() && Files.isDirectory(directory)) {
                Vocabulary found = ModelVocabulary.read(directory);
                if (found != null) {
                    return found;
                }
            }
        }
        return Vocabulary.ofSize(0);
    }

    /** The vocabulary size that a model directory's config.json names, or 0. */
    static int configuredSize(Path directory) {
        Path file = directory.resolve("config.json");
        try {
            return Files.isRegularFile(file)
                    ? ServerCalls.JSON
                            .readTree(Files.readAllBytes(file))
                            .path("vocab_size")
                            .asInt(0)
                    : 0;
        } catch (IOException | JacksonException e) {
            return 0;
        }
    }
}
