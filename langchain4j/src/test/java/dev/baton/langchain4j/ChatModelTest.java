package dev.baton.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.Baton;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** LangChain4j's two interfaces over the model in the repository. */
class ChatModelTest {
    private static final String QUESTION = "What is Baton?";
    private static Baton baton;

    @BeforeAll
    static void load() {
        Path root = Path.of(System.getProperty("baton.root", ".."));
        baton = Baton.load(root.resolve("models/baton-nano"), "--max-total-tokens=4096", "--max-running-requests=4");
    }

    @AfterAll
    static void close() {
        baton.close();
    }

    private static ChatRequest request(int tokens) {
        return ChatRequest.builder()
                .messages(UserMessage.from(QUESTION))
                .maxOutputTokens(tokens)
                .build();
    }

    @Test
    void aQuestionIsAnswered() {
        BatonChatModel model = new BatonChatModel(baton);
        assertThat(model.chat(QUESTION)).contains("Baton is an LLM serving engine");
        ChatResponse response = model.chat(request(4));
        assertThat(response.finishReason()).isEqualTo(FinishReason.LENGTH);
        assertThat(response.tokenUsage().outputTokenCount()).isEqualTo(4);
        assertThat(response.tokenUsage().inputTokenCount()).isPositive();
    }

    @Test
    void aStreamIsTheSameAnswerInPieces() throws Exception {
        List<String> pieces = new CopyOnWriteArrayList<>();
        CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
        new BatonStreamingChatModel(baton).chat(request(32), new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(String piece) {
                pieces.add(piece);
            }

            @Override
            public void onCompleteResponse(ChatResponse response) {
                whole.complete(response);
            }

            @Override
            public void onError(Throwable fault) {
                whole.completeExceptionally(fault);
            }
        });
        String text = whole.get(60, TimeUnit.SECONDS).aiMessage().text();
        assertThat(pieces).hasSizeGreaterThan(1);
        assertThat(String.join("", pieces)).isEqualTo(text);
        assertThat(new BatonChatModel(baton).chat(request(32)).aiMessage().text())
                .isEqualTo(text);
    }

    @Test
    void whatCannotBeServedIsRefusedByName() {
        BatonChatModel model = new BatonChatModel(baton);
        ChatRequest tools = ChatRequest.builder()
                .messages(SystemMessage.from("s"), UserMessage.from("u"))
                .toolSpecifications(ToolSpecification.builder().name("f").build())
                .build();
        assertThatThrownBy(() -> model.chat(tools))
                .isInstanceOf(UnsupportedFeatureException.class)
                .hasMessageContaining("toolSpecifications");
    }
}
