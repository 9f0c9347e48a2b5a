package dev.baton.langchain4j;

import dev.baton.Baton;
import dev.baton.Completion;
import dev.baton.Message;
import dev.baton.TextStream;
import dev.baton.protocol.SamplingParams;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import java.util.List;
import java.util.Map;

/**
 * LangChain4j's {@link StreamingChatModel} over a loaded model, which stays the caller's to close. A handler is called on a
 * virtual thread of its request; a slow one keeps nobody else waiting.
 */
public final class BatonStreamingChatModel implements StreamingChatModel {
    private final Baton model;
    private final Map<String, ?> defaults;

    /** Greedy, at most 256 tokens, where a request says nothing. */
    public BatonStreamingChatModel(Baton model) {
        this(model, Requests.DEFAULTS);
    }

    /** @param defaults sampling parameters where a request says nothing, named as in {@link Baton#sampling} */
    public BatonStreamingChatModel(Baton model, Map<String, ?> defaults) {
        this.model = model;
        this.defaults = defaults;
    }

    @Override
    public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
        List<Message> messages = Requests.messages(request);
        SamplingParams sampling = Requests.sampling(request, defaults);
        Thread.ofVirtual().name("baton-stream").start(() -> answer(request, messages, sampling, handler));
    }

    private void answer(
            ChatRequest request,
            List<Message> messages,
            SamplingParams sampling,
            StreamingChatResponseHandler handler) {
        try (TextStream stream = model.streamChat(messages, sampling)) {
            StringBuilder text = new StringBuilder();
            while (stream.hasNext()) {
                String piece = stream.next();
                text.append(piece);
                handler.onPartialResponse(piece);
            }
            Completion completion = stream.completion();
            handler.onCompleteResponse(Requests.response(completion, text.toString(), request.modelName()));
        } catch (RuntimeException e) {
            handler.onError(e);
        }
    }
}
