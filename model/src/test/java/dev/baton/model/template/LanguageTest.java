package dev.baton.model.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.ModelException;
import java.io.IOException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A table of templates, written by hand and drawn at random, with what Python's jinja2 3.1.6 makes of them in
 * transformers' settings; where it fails, the kind of the failure.
 */
class LanguageTest {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2025-07-06T09:05:03Z"), ZoneOffset.UTC);

    @Test
    void everyTemplateOfTheTableRendersAsInPython() throws IOException {
        JsonNode table;
        try (InputStream in = Objects.requireNonNull(LanguageTest.class.getResourceAsStream("/jinja-cases.json"))) {
            table = new JsonMapper().readTree(in);
        }
        Map<String, JsonNode> variables = new LinkedHashMap<>();
        table.get("variables").properties().forEach(v -> variables.put(v.getKey(), v.getValue()));
        List<String> wrong = new ArrayList<>();
        int refused = 0;
        for (JsonNode entry : table.get("cases")) {
            String template = entry.get("template").stringValue();
            JsonNode expected = entry.get("ok");
            try {
                String rendered =
                        ChatTemplate.of(template, "case").withClock(CLOCK).render(variables);
                if (expected == null) {
                    wrong.add(template + "\n  rendered " + PythonText.repr(rendered) + ", Python: " + entry.get("err"));
                } else if (!rendered.equals(expected.stringValue())) {
                    wrong.add(template + "\n  is  " + PythonText.repr(rendered) + "\n  not "
                            + PythonText.repr(expected.stringValue()));
                }
            } catch (ModelException e) {
                if (expected != null && e.getMessage().matches("(?s).*(NotImplementedError|beyond 64 bits).*")) {
                    refused++;
                } else if (expected == null && !e.getMessage().contains(kind(entry.get("err")))) {
                    wrong.add(template + "\n  failed: " + e.getMessage() + "\n  Python: " + entry.get("err"));
                } else if (expected != null) {
                    wrong.add(template + "\n  failed: " + e.getMessage() + "\n  not "
                            + PythonText.repr(expected.stringValue()));
                }
            }
        }
        assertThat(table.get("cases").size()).isGreaterThan(1100);
        assertThat(wrong).isEmpty();
        // What no chat template has use for: bytes, integers beyond 64 bits, escaping everything.
        assertThat(refused).isLessThanOrEqualTo(5);
    }

    /** {@code "TypeError: no such thing"} to {@code ": TypeError: "}. */
    private static String kind(JsonNode error) {
        String text = error.stringValue();
        return ": " + text.substring(0, text.indexOf(':') + 1) + " ";
    }
}
