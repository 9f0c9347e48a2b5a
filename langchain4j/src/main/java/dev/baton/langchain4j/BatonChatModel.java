package dev.baton.langchain4j;

import dev.baton.Baton;
import dev.baton.Completion;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.Map;

/** LangChain4j's {@link ChatModel} over a loaded model, which stays the caller's to close. */
public final class BatonChatModel implements ChatModel {
    private final Baton model;
    private final Map<String, ?> defaults;

    /** Greedy, at most 256 tokens, where a request says nothing. */
    public BatonChatModel(Baton model) {
        this(model, Requests.DEFAULTS);
    }

    /** @param defaults sampling parameters where a request says nothing, named as in {@link Baton#sampling} */
    public BatonChatModel(Baton model, Map<String, ?> defaults) {
        this.model = model;
        this.defaults = defaults;
    }

    @Override
    public ChatResponse doChat(ChatRequest request) {
        Completion completion = model.chat(Requests.messages(request), Requests.sampling(request, defaults));
        return Requests.response(completion, completion.text(), request.modelName());
    }
}
