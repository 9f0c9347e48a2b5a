package dev.baton.serve.openai;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.protocol.GrammarSpec;
import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Structured output, tools and reasoning of chat bodies, over an engine that says what it is told to. */
class ChatControlsTest {
    private static final String TOOLS = """
            "tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}},
            {"type":"function","function":{"name":"now"}}]""";

    private ServerFixture fixture = new ServerFixture(
            new FakeEngine(), config -> config.toolCallParser("qwen").reasoningParser("qwen3"));

    @AfterEach
    void close() {
        fixture.close();
    }

    private static String body(String more) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stop_token_ids\":[126],\"max_tokens\":400,"
                + more + "}";
    }

    /** The model says this and then a stop token. */
    private void says(String text) {
        fixture.engine.script = request -> text + "~";
    }

    private JsonNode chat(String more) throws Exception {
        return fixture.postJson("/v1/chat/completions", body(more))
                .path("choices")
                .get(0);
    }

    private GrammarSpec grammar() {
        return fixture.engine.submitted.getLast().sampling().grammar();
    }

    @Test
    void responseFormatsAreGrammars() throws Exception {
        says("x");
        chat("\"response_format\":{\"type\":\"text\"}");
        assertThat(grammar()).isNull();
        fixture.close();
        fixture = new ServerFixture(new FakeEngine(), config -> config);
        says("x");
        chat("\"response_format\":{\"type\":\"json_object\"}");
        assertThat(grammar()).isEqualTo(new GrammarSpec(GrammarSpec.Kind.JSON_SCHEMA, "{\"type\":\"object\"}"));
        chat(
                "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"integer\"}}}");
        assertThat(grammar()).isEqualTo(new GrammarSpec(GrammarSpec.Kind.JSON_SCHEMA, "{\"type\":\"integer\"}"));
        chat("\"regex\":\"a+\"");
        assertThat(grammar()).isEqualTo(new GrammarSpec(GrammarSpec.Kind.REGEX, "a+"));
        for (String bad : List.of(
                "\"response_format\":{\"type\":\"xml\"}",
                "\"response_format\":{\"type\":\"json_schema\"}",
                "\"regex\":\"a\",\"ebnf\":\"root ::= \\\"a\\\"\"")) {
            assertThat(fixture.post("/v1/chat/completions", body(bad)).statusCode())
                    .isEqualTo(400);
        }
    }

    @Test
    void aToolCallIsToldAsOne() throws Exception {
        says("I add.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>");
        JsonNode choice = chat(TOOLS);
        JsonNode message = choice.path("message");
        assertThat(message.path("content").asString()).isEqualTo("I add.");
        JsonNode call = message.path("tool_calls").get(0);
        assertThat(call.path("id").asString()).startsWith("call_");
        assertThat(call.path("type").asString()).isEqualTo("function");
        assertThat(call.path("function").path("name").asString()).isEqualTo("add");
        assertThat(call.path("function").path("arguments").asString()).isEqualTo("{\"a\": 1}");
        assertThat(choice.path("finish_reason").asString()).isEqualTo("tool_calls");
        assertThat(fixture.engine.submitted.getLast().sampling().skipSpecialTokens())
                .isFalse();
        assertThat(grammar()).isNull();
    }

    @Test
    void reasoningAndCallsAreStreamedAsDeltas() throws Exception {
        says("<think>\nadd?\n</think>\n\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n"
                + "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>");
        String stream = fixture.post("/v1/chat/completions", body("\"stream\":true," + TOOLS))
                .body();
        StringBuilder thought = new StringBuilder();
        StringBuilder content = new StringBuilder();
        StringBuilder calls = new StringBuilder();
        String finish = "";
        for (String frame : ServerFixture.frames(stream)) {
            if (frame.equals("[DONE]")) {
                break;
            }
            JsonNode choice = ServerFixture.JSON.readTree(frame).path("choices").get(0);
            JsonNode delta = choice.path("delta");
            thought.append(delta.path("reasoning_content").asString(""));
            content.append(delta.path("content").asString(""));
            for (JsonNode call : delta.path("tool_calls")) {
                JsonNode function = call.path("function");
                if (function.has("name")) {
                    assertThat(call.path("id").asString()).startsWith("call_");
                    calls.append(call.path("index").asInt())
                            .append(function.path("name").asString());
                }
                calls.append(function.path("arguments").asString());
            }
            finish = choice.path("finish_reason").asString(finish);
        }
        assertThat(thought).hasToString("add?");
        assertThat(content).hasToString("");
        assertThat(calls).hasToString("0add{\"a\": 1}1now{}");
        assertThat(finish).isEqualTo("tool_calls");
    }

    @Test
    void reasoningStandsApartUnlessTheBodySaysOtherwise() throws Exception {
        says("<think>hm</think>yes");
        JsonNode message = chat("\"seed\":1").path("message");
        assertThat(message.path("reasoning_content").asString()).isEqualTo("hm");
        assertThat(message.path("content").asString()).isEqualTo("yes");
        message = chat("\"separate_reasoning\":false").path("message");
        assertThat(message.path("reasoning_content").isNull()).isTrue();
        assertThat(message.path("content").asString()).isEqualTo("<think>hm</think>yes");
    }

    @Test
    void requiredAndNamedChoicesAreGrammars() throws Exception {
        says("<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>");
        chat("\"tool_choice\":\"required\"," + TOOLS);
        assertThat(grammar().kind()).isEqualTo(GrammarSpec.Kind.STRUCTURAL_TAG);
        assertThat(grammar().text()).contains("\"add\\\"").contains("\"now\\\"").contains("</think>");
        chat("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"add\"}}," + TOOLS);
        assertThat(grammar().text()).contains("\\\"add\\\"").doesNotContain("\\\"now\\\"");
        chat("\"tool_choice\":\"none\"," + TOOLS);
        assertThat(grammar()).isNull();
        for (String bad : List.of(
                "\"tool_choice\":\"required\"",
                "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"sub\"}}," + TOOLS,
                "\"tools\":[{\"type\":\"function\",\"function\":{}}]",
                "\"tool_choice\":\"required\",\"regex\":\"a\"," + TOOLS)) {
            assertThat(fixture.post("/v1/chat/completions", body(bad)).statusCode())
                    .as(bad)
                    .isEqualTo(400);
        }
    }
}
