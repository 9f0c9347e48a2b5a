package dev.baton.model.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.Fixtures;
import dev.baton.model.ModelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Published chat templates over stored conversations, against what Python's jinja2 rendered. */
class PublishedTemplatesTest {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2025-07-26T12:00:00Z"), ZoneOffset.UTC);

    @Test
    void everyCaseRendersAsJinja2RendersItAndFailsWhereJinja2Fails() throws IOException {
        Path folder = Fixtures.shared("chat-templates");
        JsonMapper json = new JsonMapper();
        JsonNode conversations = json.readTree(Files.readString(folder.resolve("conversations.json")));
        JsonNode expected = json.readTree(Files.readString(folder.resolve("rendered.json")));
        List<String> wrong = new ArrayList<>();
        for (Map.Entry<String, JsonNode> entry : expected.properties()) {
            String[] key = entry.getKey().split("\\|");
            String source = Files.readString(template(folder, key[0]));
            Map<String, JsonNode> variables = new LinkedHashMap<>();
            conversations.get(key[1]).properties().forEach(v -> variables.put(v.getKey(), v.getValue()));
            JsonNode text = entry.getValue().get("ok");
            try {
                String rendered =
                        ChatTemplate.of(source, key[0]).withClock(CLOCK).render(variables);
                if (text == null) {
                    wrong.add(entry.getKey() + " rendered, but jinja2 says " + entry.getValue());
                } else if (!rendered.equals(text.stringValue())) {
                    wrong.add(entry.getKey() + " differs:\n" + difference(rendered, text.stringValue()));
                }
            } catch (ModelException e) {
                if (text != null) {
                    wrong.add(entry.getKey() + " failed: " + e.getMessage());
                } else {
                    // "Kind: message", and the line.
                    assertThat(e.getMessage())
                            .contains(entry.getValue().get("err").stringValue())
                            .contains(", line ");
                }
            }
        }
        assertThat(wrong).as("%d cases", expected.size()).isEmpty();
    }

    private static Path template(Path folder, String name) {
        Path plain = folder.resolve("templates").resolve(name);
        return Files.exists(plain) ? plain : folder.resolve("templates").resolve(name + ".jinja");
    }

    private static String difference(String actual, String expected) {
        int at = 0;
        while (at < Math.min(actual.length(), expected.length()) && actual.charAt(at) == expected.charAt(at)) {
            at++;
        }
        return "  is " + part(actual, at) + "\n  not " + part(expected, at);
    }

    private static String part(String text, int at) {
        return PythonText.repr(text.substring(Math.max(at - 40, 0), Math.min(at + 60, text.length())));
    }
}
