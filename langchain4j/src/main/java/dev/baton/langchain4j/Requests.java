package dev.baton.langchain4j;

import dev.baton.Baton;
import dev.baton.Completion;
import dev.baton.Message;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.TokenUsage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Requests and answers in both vocabularies; what Baton's chat cannot take is refused by name. */
final class Requests {
    private Requests() {}

    static List<Message> messages(ChatRequest request) {
        return request.messages().stream().map(Requests::message).toList();
    }

    private static Message message(ChatMessage message) {
        return switch (message) {
            case SystemMessage system -> Message.system(system.text());
            case UserMessage user when user.hasSingleText() -> Message.user(user.singleText());
            case UserMessage user -> throw new UnsupportedFeatureException("a user message of other than one text");
            case AiMessage ai
            when ai.hasToolExecutionRequests() -> throw new UnsupportedFeatureException("tool calls in a message");
            case AiMessage ai -> Message.assistant(ai.text() == null ? "" : ai.text());
            default -> throw new UnsupportedFeatureException("messages of type " + message.type());
        };
    }

    /** What is used where neither a model's defaults nor a request say anything: greedy, at most 256 tokens. */
    static final Map<String, Object> DEFAULTS = Map.of("temperature", 0, "max_new_tokens", 256);

    /** The request's parameters over {@code defaults}, named as {@link Baton#sampling} names them. */
    static SamplingParams sampling(ChatRequest request, Map<String, ?> defaults) {
        if (request.toolSpecifications() != null
                && !request.toolSpecifications().isEmpty()) {
            throw new UnsupportedFeatureException("toolSpecifications");
        }
        if (request.responseFormat() != null && request.responseFormat().type() == ResponseFormatType.JSON) {
            throw new UnsupportedFeatureException("responseFormat JSON");
        }
        Map<String, Object> parameters = new LinkedHashMap<>(defaults);
        put(parameters, "max_new_tokens", request.maxOutputTokens());
        put(parameters, "temperature", request.temperature());
        put(parameters, "top_p", request.topP());
        put(parameters, "top_k", request.topK());
        put(parameters, "frequency_penalty", request.frequencyPenalty());
        put(parameters, "presence_penalty", request.presencePenalty());
        List<String> stops = request.stopSequences();
        put(parameters, "stop", stops == null || stops.isEmpty() ? null : stops);
        return Baton.sampling(parameters);
    }

    private static void put(Map<String, Object> parameters, String name, @Nullable Object value) {
        if (value != null) {
            parameters.put(name, value);
        }
    }

    static ChatResponse response(Completion completion, String text, @Nullable String modelName) {
        return ChatResponse.builder()
                .aiMessage(AiMessage.from(text))
                .modelName(modelName)
                .tokenUsage(new TokenUsage(completion.promptTokens(), completion.completionTokens()))
                .finishReason(
                        switch (completion.finish()) {
                            case FinishReason.StopToken stop -> dev.langchain4j.model.output.FinishReason.STOP;
                            case FinishReason.StopString stop -> dev.langchain4j.model.output.FinishReason.STOP;
                            case FinishReason.Length length -> dev.langchain4j.model.output.FinishReason.LENGTH;
                            case FinishReason.Abort abort -> dev.langchain4j.model.output.FinishReason.OTHER;
                        })
                .build();
    }
}
