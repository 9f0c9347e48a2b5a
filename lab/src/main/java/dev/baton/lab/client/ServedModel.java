package dev.baton.lab.client;

import dev.baton.lab.workload.Vocabulary;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
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
        return new ServedModel(
                name,
                needsVocabulary
                        ? vocabulary(config.vocabSize(), config.tokenizer(), config.model(), target, calls)
                        : Vocabulary.ofSize(0));
    }

    /**
     * The first of: the given size, the given tokenizer directory, the model directory, the directories that the server
     * names and that are on this machine.
     */
    static Vocabulary vocabulary(
            @Nullable Integer size, @Nullable String tokenizer, @Nullable String model, URI target, ServerCalls calls) {
        if (size != null) {
            return Vocabulary.ofSize(size);
        }
        List<String> places = new ArrayList<>();
        if (tokenizer != null) {
            places.add(tokenizer);
        } else {
            if (model != null) {
                places.add(model);
            }
            JsonNode info = calls.json(target, "/get_model_info", DEADLINE);
            if (info != null) {
                places.add(info.path("tokenizer_path").asString(""));
                places.add(info.path("model_path").asString(""));
            }
        }
        for (String place : places) {
            Vocabulary found = isDirectory(place) ? ModelVocabulary.read(Path.of(place)) : null;
            if (found != null) {
                return found;
            }
        }
        return Vocabulary.ofSize(0);
    }

    private static boolean isDirectory(String place) {
        try {
            return !place.isEmpty() && Files.isDirectory(Path.of(place));
        } catch (InvalidPathException e) {
            return false; // a model name, not a path
        }
    }
}
