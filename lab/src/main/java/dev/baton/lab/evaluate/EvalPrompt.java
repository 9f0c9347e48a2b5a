package dev.baton.lab.evaluate;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A question with its right answer.
 *
 * @param id unique in its file
 * @param domain what kind of question
 * @param prompt plain text to continue; null for a chat
 * @param messages the chat, as the OpenAI API takes it; null for plain text
 * @param answer the one right continuation, compared after trimming white space at both ends
 * @param maxNewTokens most tokens of an answer
 * @param stop strings that end it
 */
public record EvalPrompt(
        String id,
        String domain,
        @Nullable String prompt,
        @Nullable JsonNode messages,
        String answer,
        int maxNewTokens,
        List<String> stop) {

    /** True when {@code text} is the right answer. */
    public boolean isRight(String text) {
        return text.strip().equals(answer.strip());
    }

    /** @throws LabException IO or DATASET naming file and line */
    public static List<EvalPrompt> read(Path file) {
        List<EvalPrompt> prompts = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(file)) {
                if (!line.isBlank()) {
                    prompts.add(parse(line, file + ":" + (prompts.size() + 1)));
                }
            }
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot read " + file + ": " + e.getMessage(), e);
        }
        if (prompts.isEmpty()) {
            throw new LabException(LabException.Code.DATASET, file + " has no prompts");
        }
        return prompts;
    }

    private static EvalPrompt parse(String line, String where) {
        try {
            JsonNode node = JsonMapper.shared().readTree(line);
            JsonNode messages = node.get("messages");
            String prompt = node.hasNonNull("prompt") ? node.get("prompt").asString() : null;
            if ((messages == null || messages.isNull()) == (prompt == null)
                    || !node.hasNonNull("answer")
                    || !node.hasNonNull("domain")) {
                throw new LabException(
                        LabException.Code.DATASET, where + ": needs domain, answer and either prompt or messages");
            }
            List<String> stop = new ArrayList<>();
            JsonNode stops = node.path("stop");
            if (stops.isArray()) {
                stops.forEach(s -> stop.add(s.asString()));
            } else if (stops.isString()) {
                stop.add(stops.asString());
            }
            return new EvalPrompt(
                    node.path("id").asString(where),
                    node.get("domain").asString(),
                    prompt,
                    prompt == null ? messages : null,
                    node.get("answer").asString(),
                    node.path("max_new_tokens").asInt(64),
                    List.copyOf(stop));
        } catch (JacksonException e) {
            throw new LabException(LabException.Code.DATASET, where + ": " + e.getOriginalMessage(), e);
        }
    }

    /** {@code count} prompts, the same number of each domain as far as it goes, in file order within a domain. */
    public static List<EvalPrompt> spread(List<EvalPrompt> all, int count) {
        Map<String, List<EvalPrompt>> byDomain = new LinkedHashMap<>();
        all.forEach(p ->
                byDomain.computeIfAbsent(p.domain(), d -> new ArrayList<>()).add(p));
        List<EvalPrompt> chosen = new ArrayList<>();
        for (int round = 0; chosen.size() < Math.min(count, all.size()); round++) {
            for (List<EvalPrompt> domain : byDomain.values()) {
                if (round < domain.size() && chosen.size() < count) {
                    chosen.add(domain.get(round));
                }
            }
        }
        return chosen;
    }
}
