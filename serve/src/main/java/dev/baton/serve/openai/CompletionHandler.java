package dev.baton.serve.openai;

import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.reply.CompletionChunks;
import dev.baton.protocol.request.CompletionRequest;
import dev.baton.protocol.request.OpenAiOptions;
import dev.baton.serve.ServeException;
import dev.baton.serve.generate.GenerateHandler;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpHandler;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** {@code /v1/completions}. */
public final class CompletionHandler implements HttpHandler {
    private final Requests requests;

    public CompletionHandler(Requests requests) {
        this.requests = requests;
    }

    @Override
    public boolean isQuick(Exchange exchange) {
        return Requests.isQuick(exchange);
    }

    @Override
    public void handle(Exchange exchange) {
        OpenAiBodies.requireJson(exchange);
        CompletionRequest body = CompletionRequest.read(exchange.body());
        OpenAiOptions options = body.options();
        int n = Math.max(1, options.sampling().n());
        int answers = Requests.answers(body.prompts().size(), n);
        List<EngineRequest> prepared = new ArrayList<>(answers);
        List<String> echoes = new ArrayList<>(answers);
        for (int i = 0; i < body.prompts().size(); i++) {
            CompletionRequest.Prompt prompt = body.prompts().get(i);
            String field = body.prompts().size() == 1 ? "prompt" : "prompt[" + i + "]";
            int[] ids = ids(field, prompt);
            String echo = body.echo() ? echoOf(prompt, ids) : "";
            for (int copy = 0; copy < n; copy++) {
                int index = i * n + copy;
                prepared.add(requests.prepare(
                        answers > 1 && options.rid() != null ? options.rid() + "_" + index : options.rid(),
                        field,
                        ids,
                        GenerateHandler.sampling(options.sampling(), copy),
                        logprobs(body),
                        GenerateHandler.bootstrap(options.bootstrap(i), copy),
                        options.dataParallelRank(),
                        options.cacheSalt(i)));
                echoes.add(echo);
            }
        }
        String id = options.rid() != null ? options.rid() : prepared.getFirst().rid();
        var chunks = new CompletionChunks(id, OpenAiBodies.epochSeconds(), OpenAiBodies.model(options, requests));
        var reply = new CompletionReply(exchange, requests, body, chunks, n);
        echoes.forEach(reply::addChoice);
        requests.admit(reply, prepared);
    }

    private int[] ids(String field, CompletionRequest.Prompt prompt) {
        int[] ids = prompt.ids();
        if (ids != null) {
            return ids;
        }
        String text = Objects.requireNonNull(prompt.text());
        if (text.isEmpty()) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST, field + " is empty: a prompt needs at least one token.");
        }
        return requests.codec().encode(text, true);
    }

    private String echoOf(CompletionRequest.Prompt prompt, int[] ids) {
        String text = prompt.text();
        return text != null ? text : requests.codec().decode(ids, true);
    }

    private static EngineRequest.@Nullable LogprobSpec logprobs(CompletionRequest body) {
        Integer top = body.logprobs();
        return top == null ? null : new EngineRequest.LogprobSpec(body.echo() ? 0 : -1, top, new int[0]);
    }
}
