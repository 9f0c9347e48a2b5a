package dev.baton.serve.openai;

import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.reply.ChatChunks;
import dev.baton.protocol.request.ChatRequest;
import dev.baton.protocol.request.OpenAiOptions;
import dev.baton.serve.generate.GenerateHandler;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpHandler;
import java.util.ArrayList;
import java.util.List;

/** {@code /v1/chat/completions}. */
public final class ChatHandler implements HttpHandler {
    private final Requests requests;

    public ChatHandler(Requests requests) {
        this.requests = requests;
    }

    @Override
    public boolean isQuick(Exchange exchange) {
        return Requests.isQuick(exchange);
    }

    @Override
    public void handle(Exchange exchange) {
        OpenAiBodies.requireJson(exchange);
        ChatRequest body = ChatRequest.read(exchange.body(), requests.config().chatDefaults());
        OpenAiOptions options = body.options();
        int n = Requests.answers(1, Math.max(1, options.sampling().n()));
        var controls = new ChatControls(body, requests.config());
        String prompt =
                requests.codec().renderChat(body.messages(), body.continueFinalMessage(), controls.templateArguments());
        SamplingParams sampling = controls.sampling(prompt);
        int[] ids = requests.codec().encode(prompt, false);
        var logprobs = body.logprobs() ? new EngineRequest.LogprobSpec(-1, body.topLogprobs(), new int[0]) : null;
        List<EngineRequest> prepared = new ArrayList<>(n);
        for (int copy = 0; copy < n; copy++) {
            prepared.add(requests.prepare(
                    n > 1 && options.rid() != null ? options.rid() + "_" + copy : options.rid(),
                    "messages",
                    ids,
                    GenerateHandler.sampling(sampling, copy),
                    logprobs,
                    GenerateHandler.bootstrap(options.bootstrap(0), copy),
                    options.dataParallelRank(),
                    options.cacheSalt(0)));
        }
        String id = options.rid() != null ? options.rid() : prepared.getFirst().rid();
        var chunks = new ChatChunks(id, OpenAiBodies.epochSeconds(), OpenAiBodies.model(options, requests));
        requests.admit(new ChatReply(exchange, requests, body, chunks, n, controls.parts(prompt)), prepared);
    }
}
