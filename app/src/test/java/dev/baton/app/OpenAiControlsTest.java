package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.BadRequestException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.ResponseFormatJsonObject;
import com.openai.models.ResponseFormatJsonSchema;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Structured output and tool calls with OpenAI's own Java client, sampled from the repository's model. */
class OpenAiControlsTest {
    private static ServerUnderTest server;
    private static OpenAIClient client;

    @BeforeAll
    static void start() {
        server = ServerUnderTest.serve(
                "openai-controls",
                ServerUnderTest.NANO,
                "--served-model-name",
                "baton-nano",
                "--cpu-threads",
                "1",
                "--tool-call-parser",
                "qwen");
        client = OpenAIOkHttpClient.builder()
                .baseUrl(server.at("/v1").toString())
                .apiKey("any")
                .maxRetries(0)
                .build();
    }

    @AfterAll
    static void stop() {
        if (client != null) {
            client.close();
        }
        if (server != null) {
            server.close();
        }
    }

    private static ChatCompletionCreateParams.Builder chat() {
        return ChatCompletionCreateParams.builder()
                .model("baton-nano")
                .addUserMessage("What is Baton?")
                .temperature(1.2)
                .maxCompletionTokens(400);
    }

    private static JsonNode json(String text) {
        return JsonMapper.shared().readTree(text);
    }

    private static FunctionDefinition add() {
        return FunctionDefinition.builder()
                .name("add")
                .parameters(FunctionParameters.builder()
                        .putAdditionalProperty("type", JsonValue.from("object"))
                        .putAdditionalProperty(
                                "properties",
                                JsonValue.from(Map.of(
                                        "a", Map.of("type", "integer", "minimum", 1, "maximum", 9),
                                        "b", Map.of("enum", List.of("x", "y")))))
                        .putAdditionalProperty("required", JsonValue.from(List.of("a", "b")))
                        .build())
                .build();
    }

    @Test
    void aSchemaIsObeyed() {
        var schema = ResponseFormatJsonSchema.JsonSchema.Schema.builder()
                .putAdditionalProperty("type", JsonValue.from("object"))
                .putAdditionalProperty(
                        "properties", JsonValue.from(Map.of("answer", Map.of("type", "string", "maxLength", 12))))
                .putAdditionalProperty("required", JsonValue.from(List.of("answer")))
                .putAdditionalProperty("additionalProperties", JsonValue.from(false))
                .build();
        var format = ResponseFormatJsonSchema.builder()
                .jsonSchema(ResponseFormatJsonSchema.JsonSchema.builder()
                        .name("answer")
                        .schema(schema)
                        .build())
                .build();
        for (int seed = 0; seed < 5; seed++) {
            var choice = client.chat()
                    .completions()
                    .create(chat().responseFormat(format)
                            .putAdditionalBodyProperty("seed", JsonValue.from(seed))
                            .build())
                    .choices()
                    .getFirst();
            assertThat(choice.finishReason().asString()).isEqualTo("stop");
            JsonNode document = json(choice.message().content().orElseThrow());
            assertThat(document.propertyNames()).containsExactly("answer");
            assertThat(document.path("answer")
                            .asString()
                            .codePointCount(
                                    0, document.path("answer").asString().length()))
                    .isLessThanOrEqualTo(12);
        }
    }

    @Test
    void anyObjectIsAnObject() {
        var choice = client.chat()
                .completions()
                .create(chat().responseFormat(ResponseFormatJsonObject.builder().build())
                        .temperature(0)
                        .build())
                .choices()
                .getFirst();
        String text = choice.message().content().orElseThrow();
        assertThat(text).startsWith("{");
        if (choice.finishReason().asString().equals("stop")) {
            assertThat(json(text).isObject()).isTrue();
        }
    }

    @Test
    void aToolThatMustBeCalledIsCalled() {
        var params = chat().addFunctionTool(add())
                .toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED)
                .parallelToolCalls(false)
                .build();
        assertCalls(client.chat().completions().create(params));
        ChatCompletionAccumulator whole = ChatCompletionAccumulator.create();
        try (var stream = client.chat().completions().createStreaming(params)) {
            stream.stream().forEach(whole::accumulate);
        }
        assertCalls(whole.chatCompletion());
    }

    private static void assertCalls(ChatCompletion reply) {
        var choice = reply.choices().getFirst();
        assertThat(choice.finishReason().asString()).isEqualTo("tool_calls");
        var calls = choice.message().toolCalls().orElseThrow();
        assertThat(calls).hasSize(1);
        var call = calls.getFirst().asFunction();
        assertThat(call.id()).startsWith("call_");
        assertThat(call.function().name()).isEqualTo("add");
        JsonNode arguments = json(call.function().arguments());
        assertThat(arguments.path("a").asInt()).isBetween(1, 9);
        assertThat(arguments.path("b").asString()).isIn("x", "y");
    }

    @Test
    void whatCannotBeServedIsRefusedByName() {
        assertThatThrownBy(() -> client.chat()
                        .completions()
                        .create(chat().putAdditionalBodyProperty("regex", JsonValue.from("a(?=b)"))
                                .build()))
                .isInstanceOf(BadRequestException.class)
                .hasMessageContaining("regex: lookahead '(?=' is not supported");
    }
}
