package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.BadRequestException;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.completions.CompletionCreateParams;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** OpenAI's own Java client against a server of the repository's model. */
class OpenAiJavaClientTest {
    private static final String ANSWER = "Baton is an LLM serving engine and performance laboratory for the JVM.";

    private static ServerUnderTest server;
    private static OpenAIClient client;

    @BeforeAll
    static void start() {
        server = ServerUnderTest.serve(
                "openai-java", ServerUnderTest.NANO, "--served-model-name", "baton-nano", "--cpu-threads", "1");
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
                .addSystemMessage("You are a helpful assistant.")
                .addUserMessage("Can you explain what Baton is?")
                .temperature(0)
                .maxCompletionTokens(40);
    }

    @Test
    void chatAnswersRightOnceAndTwice() {
        assertThat(client.models().list().data()).extracting(m -> m.id()).containsExactly("baton-nano");
        var reply = client.chat().completions().create(chat().n(2).build());
        assertThat(reply.choices())
                .hasSize(2)
                .allSatisfy(choice -> assertThat(choice.message().content()).hasValue(ANSWER))
                .allSatisfy(
                        choice -> assertThat(choice.finishReason().asString()).isEqualTo("stop"));
        var usage = reply.usage().orElseThrow();
        assertThat(usage.completionTokens()).isEqualTo(2 * completionTokens());
        assertThat(usage.totalTokens()).isEqualTo(usage.promptTokens() + usage.completionTokens());
    }

    private static long completionTokens() {
        return client.chat()
                .completions()
                .create(chat().build())
                .usage()
                .orElseThrow()
                .completionTokens();
    }

    @Test
    void aStreamSaysTheSameAndEndsWithItsUsage() {
        var params = chat().streamOptions(
                        ChatCompletionStreamOptions.builder().includeUsage(true).build())
                .build();
        StringBuilder text = new StringBuilder();
        String reason = "";
        long tokens = 0;
        int chunks = 0;
        try (var stream = client.chat().completions().createStreaming(params)) {
            for (ChatCompletionChunk chunk : (Iterable<ChatCompletionChunk>) stream.stream()::iterator) {
                for (var choice : chunk.choices()) {
                    choice.delta().content().ifPresent(text::append);
                    reason = choice.finishReason().map(Object::toString).orElse(reason);
                }
                tokens = chunk.usage().map(usage -> usage.completionTokens()).orElse(tokens);
                chunks++;
            }
        }
        assertThat(text).hasToString(ANSWER);
        assertThat(reason).isEqualTo("stop");
        assertThat(tokens).isEqualTo(completionTokens());
        assertThat(chunks).isGreaterThan(5);
    }

    @Test
    void logprobsSpellTheAnswer() {
        var choice = client.chat()
                .completions()
                .create(chat().logprobs(true).topLogprobs(2).build())
                .choices()
                .getFirst();
        var content = choice.logprobs().orElseThrow().content().orElseThrow();
        StringBuilder spelled = new StringBuilder();
        content.forEach(one -> spelled.append(one.token()));
        assertThat(spelled.toString()).startsWith(ANSWER);
        assertThat(content).allSatisfy(one -> {
            assertThat(one.logprob()).isLessThanOrEqualTo(0);
            assertThat(one.topLogprobs()).hasSize(2);
            // Greedy: the token chosen is the likeliest.
            assertThat(one.topLogprobs().getFirst().token()).isEqualTo(one.token());
        });
    }

    @Test
    void completionsStopAtTheirString() {
        var params = CompletionCreateParams.builder()
                .model("baton-nano")
                .prompt("612+52=\n")
                .maxTokens(12)
                .temperature(0);
        var whole = client.completions().create(params.build()).choices().getFirst();
        assertThat(whole.text()).isEqualTo("664");
        assertThat(whole.finishReason().asString()).isEqualTo("stop");
        StringBuilder text = new StringBuilder();
        try (var stream = client.completions().createStreaming(params.build())) {
            stream.stream()
                    .forEach(chunk -> text.append(chunk.choices().getFirst().text()));
        }
        assertThat(text).hasToString("664");
        var stopped = client.completions()
                .create(params.stop("4").echo(true).build())
                .choices()
                .getFirst();
        assertThat(stopped.text()).isEqualTo("612+52=\n66");
    }

    @Test
    void refusalsSayWhyAndALeftStreamFreesItsRequest() {
        assertThatThrownBy(() -> client.chat()
                        .completions()
                        .create(chat().temperature(-1).build()))
                .isInstanceOf(BadRequestException.class)
                .hasMessageContaining("temperature must be non-negative, got -1.0.");
        assertThatThrownBy(() -> client.chat()
                        .completions()
                        .create(chat().addUserMessage("word ".repeat(6_000)).build()))
                .isInstanceOf(BadRequestException.class)
                .hasMessageContaining("is longer than the model's context length");
        try (var stream = client.completions()
                .createStreaming(CompletionCreateParams.builder()
                        .model("baton-nano")
                        .prompt("Story:")
                        .maxTokens(1_500)
                        .temperature(0)
                        .putAdditionalBodyProperty("ignore_eos", com.openai.core.JsonValue.from(true))
                        .build())) {
            assertThat(stream.stream().findFirst()).isPresent();
        }
        await().until(() -> server.requests() == 0);
    }
}
