package dev.baton.model.template;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What {@code tokenizer_config.json} (and {@code chat_template.jinja}) say beyond the tokenizer itself.
 *
 * @param specialTokens bos_token, eos_token, pad_token and the like by name: variables of the chat template
 * @param chatTemplates by name; the usual one is "default", some models add "tool_use"
 * @param origin the file, for errors
 */
public record TokenizerConfig(Map<String, String> specialTokens, Map<String, String> chatTemplates, String origin) {
    private static final String DEFAULT = "default";

    public TokenizerConfig {
        specialTokens = Map.copyOf(specialTokens);
        chatTemplates = Map.copyOf(chatTemplates);
    }

    /**
     * Reads a model folder; a file that is missing says nothing.
     *
     * @throws ModelException INVALID_TOKENIZER when tokenizer_config.json is malformed
     */
    public static TokenizerConfig read(Path folder) {
        Path file = folder.resolve("tokenizer_config.json");
        JsonNode config = Files.exists(file) ? parse(text(file), file) : null;
        Map<String, String> tokens = new LinkedHashMap<>();
        Map<String, String> templates = new LinkedHashMap<>();
        if (config != null) {
            for (Map.Entry<String, JsonNode> entry : config.properties()) {
                String token = token(entry.getValue());
                if (entry.getKey().endsWith("_token") && token != null) {
                    tokens.put(entry.getKey(), token);
                }
            }
            readTemplates(config.get("chat_template"), templates, file);
        }
        Path single = folder.resolve("chat_template.jinja");
        if (Files.exists(single)) {
            templates.put(DEFAULT, text(single));
        }
        return new TokenizerConfig(tokens, templates, folder.toString());
    }

    private static @Nullable String token(JsonNode node) {
        JsonNode content = node.isObject() ? node.path("content") : node;
        return content.isString() ? content.stringValue() : null;
    }

    private static void readTemplates(@Nullable JsonNode node, Map<String, String> templates, Path file) {
        if (node == null || node.isNull()) {
            return;
        }
        if (node.isString()) {
            templates.put(DEFAULT, node.stringValue());
            return;
        }
        for (JsonNode entry : node) {
            if (!entry.path("name").isString() || !entry.path("template").isString()) {
                throw new ModelException(
                        ModelException.Code.INVALID_TOKENIZER,
                        file + ": field \"chat_template\" must be a string or a list of name and template");
            }
            templates.put(entry.get("name").stringValue(), entry.get("template").stringValue());
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    private static JsonNode parse(String text, Path file) {
        try {
            return new JsonMapper().readTree(text);
        } catch (JacksonException e) {
            throw new ModelException(
                    ModelException.Code.INVALID_TOKENIZER, file + " is not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    /** Whether the model comes with a chat template. */
    public boolean hasChatTemplate() {
        return chatTemplates.containsKey(DEFAULT);
    }

    /**
     * The template for a request, parsed: "tool_use" with tools when the model has one, otherwise the default.
     *
     * @throws ModelException TEMPLATE when there is none or it does not parse
     */
    public ChatTemplate chatTemplate(boolean withTools) {
        String name = withTools && chatTemplates.containsKey("tool_use") ? "tool_use" : DEFAULT;
        String source = chatTemplates.get(name);
        if (source == null) {
            throw new ModelException(
                    ModelException.Code.TEMPLATE,
                    origin + " has no chat template; pass one with --chat-template or use the completions endpoint");
        }
        return ChatTemplate.of(source, name);
    }
}
