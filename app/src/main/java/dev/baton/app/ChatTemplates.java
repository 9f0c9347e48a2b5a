package dev.baton.app;

import dev.baton.model.ModelException;
import dev.baton.model.template.ChatTemplate;
import dev.baton.model.template.TokenizerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The chat template that a server uses, with the special tokens that it may name. */
public final class ChatTemplates {
    private final ChatTemplate template;
    private final Map<String, String> specialTokens;

    private ChatTemplates(ChatTemplate template, Map<String, String> specialTokens) {
        this.template = template;
        this.specialTokens = specialTokens;
    }

    /**
     * The template of a file, or else of the model's folder; null when there is none.
     *
     * @throws ModelException when the file cannot be read or does not parse
     */
    public static @Nullable ChatTemplates find(Path folder, @Nullable String file) {
        TokenizerConfig config = TokenizerConfig.read(folder);
        if (file != null) {
            return new ChatTemplates(ChatTemplate.of(text(Path.of(file)), file), config.specialTokens());
        }
        return config.hasChatTemplate() ? new ChatTemplates(config.chatTemplate(false), config.specialTokens()) : null;
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new ModelException(
                    ModelException.Code.NOT_FOUND, "--chat-template " + file + ": " + e.getMessage(), e);
        }
    }

    /**
     * The prompt of a conversation.
     *
     * @param continueFinal the last message is the beginning of the answer: the prompt ends where its content ends
     */
    public String render(List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> arguments) {
        Map<String, Object> variables = new LinkedHashMap<>(specialTokens);
        variables.putAll(arguments);
        String prompt = template.render(messages, null, !continueFinal, variables);
        if (continueFinal && !messages.isEmpty() && messages.getLast().get("content") instanceof String content) {
            int start = prompt.lastIndexOf(content.strip());
            if (start >= 0) {
                return prompt.substring(0, start + content.strip().length());
            }
        }
        return prompt;
    }
}
