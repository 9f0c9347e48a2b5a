package dev.baton.model.tokenizer;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Chooses between the own encoders and the library. */
final class TokenizerLoader {
    private static final JsonMapper JSON = new JsonMapper();

    private TokenizerLoader() {}

    static Tokenizer load(Path folder) {
        Path file = folder.resolve("tokenizer.json");
        byte[] bytes = read(file);
        if (bytes == null) {
            throw new ModelException(
                    ModelException.Code.NOT_FOUND,
                    "model folder " + folder
                            + " has no tokenizer.json; use --skip-tokenizer-init to serve token ids only");
        }
        Path configFile = folder.resolve("tokenizer_config.json");
        byte[] config = read(configFile);
        return of(bytes, config == null ? null : parse(config, configFile.toString()), file.toString());
    }

    /** As {@link #load} from the files' contents. */
    static Tokenizer of(byte[] json, @Nullable JsonNode config, String origin) {
        JsonNode root = parse(json, origin);
        if (!root.isObject() || !root.path("model").isObject()) {
            throw TokenTable.invalid(origin, "field \"model\" is missing; it must be an object");
        }
        SpecialTokenTemplate override = config == null ? null : override(root, config, origin);
        try {
            return SentencePieceBpe.isFamily(root)
                    ? SentencePieceBpe.of(root, override, origin)
                    : ByteLevelBpe.of(root, override, origin);
        } catch (UnsupportedTokenizerException e) {
            return LibraryTokenizer.of(json, root, override, String.valueOf(e.getMessage()), origin);
        }
    }

    /**
     * transformers' LlamaTokenizerFast replaces the post-processor by what {@code add_bos_token} (true when absent) and
     * {@code add_eos_token} of tokenizer_config.json say; DeepSeek's repositories rely on it.
     */
    private static @Nullable SpecialTokenTemplate override(JsonNode root, JsonNode config, String origin) {
        String type = config.path("tokenizer_class").asString("");
        if (!type.equals("LlamaTokenizerFast") && !type.equals("LlamaTokenizer")) {
            return null;
        }
        int[] before =
                config.path("add_bos_token").asBoolean(true) ? ids(root, config, "bos_token", origin) : new int[0];
        int[] after =
                config.path("add_eos_token").asBoolean(false) ? ids(root, config, "eos_token", origin) : new int[0];
        return new SpecialTokenTemplate(before, after);
    }

    private static int[] ids(JsonNode root, JsonNode config, String field, String origin) {
        JsonNode token = config.path(field);
        String content = token.isObject() ? token.path("content").asString("") : token.asString("");
        for (JsonNode added : root.path("added_tokens")) {
            if (added.path("content").asString("").equals(content)) {
                return new int[] {added.path("id").asInt()};
            }
        }
        JsonNode id = root.path("model").path("vocab").path(content);
        if (content.isEmpty() || !id.isIntegralNumber()) {
            throw TokenTable.invalid(
                    origin, "tokenizer_config.json asks for " + field + " " + token + ", which has no id");
        }
        return new int[] {id.intValue()};
    }

    private static byte @Nullable [] read(Path file) {
        if (!Files.exists(file)) {
            return null;
        }
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static JsonNode parse(byte[] json, String origin) {
        try {
            return JSON.readTree(json);
        } catch (JacksonException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_TOKENIZER, origin + " is not valid JSON: " + e.getOriginalMessage(), e);
        }
    }
}
