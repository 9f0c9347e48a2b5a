package dev.baton.model.template;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Holds rendering against what Python's jinja2 rendered. A folder holds {@code templates/NAME.jinja}, {@code
 * conversations.json} (name to variables) and {@code rendered.json} ({@code "NAME|CONVERSATION"} to {@code {"ok": text}},
 * or {@code {"err": "Kind: message"}} where jinja2 refuses).
 */
public final class TemplateCheck {
    /** What {@code strftime_now} told when the stored texts were rendered. */
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2025-07-26T12:00:00Z"), ZoneOffset.UTC);

    private static final int SHOWN = 60;

    private TemplateCheck() {}

    /**
     * One template with one conversation.
     *
     * @param fault what differs; null when nothing does
     */
    public record Outcome(String name, @Nullable String fault) {}

    /**
     * Renders every case of a folder.
     *
     * @param each told after each case
     * @throws ModelException NOT_FOUND when the folder's files cannot be read
     */
    public static void run(Path folder, Consumer<Outcome> each) {
        JsonNode conversations = read(folder.resolve("conversations.json"));
        for (Map.Entry<String, JsonNode> entry :
                read(folder.resolve("rendered.json")).properties()) {
            String[] key = entry.getKey().split("\\|");
            Map<String, JsonNode> variables = new LinkedHashMap<>();
            conversations.path(key[1]).properties().forEach(v -> variables.put(v.getKey(), v.getValue()));
            each.accept(
                    new Outcome(entry.getKey(), fault(template(folder, key[0]), key[0], variables, entry.getValue())));
        }
    }

    private static @Nullable String fault(
            String source, String name, Map<String, JsonNode> variables, JsonNode expected) {
        JsonNode text = expected.get("ok");
        String rendered;
        try {
            rendered = ChatTemplate.of(source, name).withClock(CLOCK).render(variables);
        } catch (ModelException e) {
            String message = String.valueOf(e.getMessage());
            if (text != null) {
                return "failed: " + message;
            }
            String refusal = expected.path("err").asString("");
            return message.contains(refusal) && message.contains(", line ")
                    ? null
                    : "failed with " + message + ", jinja2 with " + refusal;
        }
        if (text == null) {
            return "rendered, but jinja2 fails with " + expected.path("err").asString("");
        }
        return rendered.equals(text.stringValue()) ? null : difference(rendered, text.stringValue());
    }

    private static String template(Path folder, String name) {
        Path plain = folder.resolve("templates").resolve(name);
        Path file = Files.exists(plain) ? plain : folder.resolve("templates").resolve(name + ".jinja");
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    private static JsonNode read(Path file) {
        try {
            return new JsonMapper().readTree(Files.readString(file));
        } catch (IOException | JacksonException e) {
            throw unreadable(file, e);
        }
    }

    private static ModelException unreadable(Path file, Exception e) {
        return new ModelException(ModelException.Code.NOT_FOUND, "cannot read " + file + ": " + e.getMessage(), e);
    }

    private static String difference(String actual, String expected) {
        int at = 0;
        while (at < Math.min(actual.length(), expected.length()) && actual.charAt(at) == expected.charAt(at)) {
            at++;
        }
        return "character " + at + ": is " + part(actual, at) + ", not " + part(expected, at);
    }

    private static String part(String text, int at) {
        return PythonText.repr(text.substring(Math.max(at - SHOWN / 2, 0), Math.min(at + SHOWN, text.length())));
    }
}
