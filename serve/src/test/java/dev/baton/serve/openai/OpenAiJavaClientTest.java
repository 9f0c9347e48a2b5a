package dev.baton.serve.openai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.BadRequestException;
import com.openai.errors.InternalServerException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.completions.CompletionCreateParams;
import dev.baton.protocol.FinishReason;
import dev.baton.serve.FakeEngine;
import dev.baton.serve.ServerFixture;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** OpenAI's own Java client against a live server. */
class OpenAiJavaClientTest {
    private final ServerFixture fixture =
            new ServerFixture(new FakeEngine(), config -> config.apiKey("key").servedModelName("fake"));
    private final OpenAIClient client = client("key");

    private OpenAIClient client(String key) {
        return OpenAIOkHttpClient.builder()
                .baseUrl(fixture.server.url() + "/v1")
                .apiKey(key)
                .maxRetries(0)
                .build();
    }

    @AfterEach
    void close() {
        client.close();
        fixture.close();
    }

    private static ChatCompletionCreateParams.Builder chat() {
        return ChatCompletionCreateParams.builder()
                .model("fake")
                .addUserMessage("hi")
                .maxCompletionTokens(3);
    }

    @Test
    @SuppressWarnings("deprecation") // clients in use still send a seed
    void chatAnswersWithNChoices() {
        var reply = client.chat()
                .completions()
                .create(chat().seed(5).n(2).temperature(0.5).build());
        assertThat(reply.choices()).hasSize(2);
        var choice = reply.choices().getFirst();
        assertThat(choice.message().content()).hasValue("abc");
        assertThat(choice.finishReason().asString()).isEqualTo("length");
        assertThat(reply.usage().orElseThrow().completionTokens()).isEqualTo(6);
        assertThat(fixture.engine.submitted)
                .extracting(request -> request.sampling().seed())
                .containsExactly(5L, 6L);
    }

    @Test
    void chatLogprobs() {
        var reply = client.chat()
                .completions()
                .create(chat().logprobs(true).topLogprobs(2).build());
        var content =
                reply.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
        assertThat(content).hasSize(3);
        assertThat(content.getFirst().token()).isEqualTo("a");
        assertThat(content.getFirst().bytes()).hasValue(List.of(97L));
        assertThat(content.getFirst().topLogprobs()).hasSize(2);
    }

    @Test
    void streamedChat() {
        var params = chat().streamOptions(
                        ChatCompletionStreamOptions.builder().includeUsage(true).build())
                .build();
        StringBuilder text = new StringBuilder();
        long tokens = 0;
        String reason = "";
        try (var stream = client.chat().completions().createStreaming(params)) {
            for (ChatCompletionChunk chunk : (Iterable<ChatCompletionChunk>) stream.stream()::iterator) {
                for (var choice : chunk.choices()) {
                    choice.delta().content().ifPresent(text::append);
                    reason = choice.finishReason().map(Object::toString).orElse(reason);
                }
                tokens = chunk.usage().map(usage -> usage.completionTokens()).orElse(tokens);
            }
        }
        assertThat(text).hasToString("abc");
        assertThat(reason).isEqualTo("length");
        assertThat(tokens).isEqualTo(3);
    }

    @Test
    void completions() {
        var params = CompletionCreateParams.builder()
                .model("fake")
                .prompt("hi")
                .maxTokens(9)
                .stop("d")
                .echo(true)
                .logprobs(1)
                .build();
        var reply = client.completions().create(params);
        var choice = reply.choices().getFirst();
        assertThat(choice.text()).isEqualTo("hiabc");
        assertThat(choice.finishReason().asString()).isEqualTo("stop");
        StringBuilder text = new StringBuilder();
        try (var stream = client.completions()
                .createStreaming(CompletionCreateParams.builder()
                        .model("fake")
                        .prompt("hi")
                        .maxTokens(4)
                        .build())) {
            stream.stream()
                    .forEach(chunk -> text.append(chunk.choices().getFirst().text()));
        }
        assertThat(text).hasToString("abcd");
    }

    @Test
    void models() {
        assertThat(client.models().list().data())
                .extracting(model -> model.id())
                .containsExactly("fake");
        assertThat(client.models().retrieve("fake").ownedBy()).isEqualTo("sglang");
        assertThatThrownBy(() -> client.models().retrieve("gpt-9"))
                .isInstanceOf(NotFoundException.class)
                .hasMessageContaining("gpt-9");
    }

    @Test
    void errorsCarryTheirMessage() {
        assertThatThrownBy(() -> client.chat()
                        .completions()
                        .create(chat().temperature(-1).build()))
                .isInstanceOf(BadRequestException.class)
                .hasMessageContaining("temperature must be non-negative, got -1.0.");
        fixture.engine.queueLimit = 0;
        assertThatThrownBy(() -> client.chat().completions().create(chat().build()))
                .isInstanceOf(InternalServerException.class)
                .hasMessageContaining("503")
                .hasMessageContaining("The request queue is full.");
        OpenAIClient stranger = client("wrong");
        assertThatThrownBy(() -> stranger.models().list()).isInstanceOf(UnauthorizedException.class);
        stranger.close();
    }

    @Test
    void aStreamThatFailsIsAnExceptionWithTheMessage() {
        fixture.engine.failure = new FinishReason.Abort("Decode transfer failed", 500, null);
        assertThatThrownBy(() -> {
                    try (var stream = client.chat().completions().createStreaming(chat().build())) {
                        stream.stream().count();
                    }
                })
                .hasMessageContaining("Decode transfer failed");
    }
}
