package dev.baton.serve.generate;

import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.request.BootstrapFields;
import dev.baton.protocol.request.GenerateRequest;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpHandler;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code /generate}. */
public final class GenerateHandler implements HttpHandler {
    private final Requests requests;

    public GenerateHandler(Requests requests) {
        this.requests = requests;
    }

    @Override
    public boolean isQuick(Exchange exchange) {
        return Requests.isQuick(exchange);
    }

    @Override
    public void handle(Exchange exchange) {
        GenerateRequest body = GenerateRequest.read(exchange.body());
        int n = copies(body);
        boolean list = body.batch() || n > 1;
        int interval = body.streamInterval() > 0
                ? body.streamInterval()
                : requests.config().streamInterval();
        var reply = new GenerateReply(exchange, requests, body, list, interval);
        List<EngineRequest> prepared = new ArrayList<>();
        for (int i = 0; i < body.items().size(); i++) {
            GenerateRequest.Item item = body.items().get(i);
            int[] ids = promptIds(body, item, i);
            for (int copy = 0; copy < n; copy++) {
                EngineRequest request = prepare(body, item, i, ids, copy, n);
                prepared.add(request);
                reply.addAnswer(rid(item, request, copy, n), item.logprobs(), list ? prepared.size() - 1 : -1);
            }
        }
        requests.admit(reply, prepared);
    }

    private static int copies(GenerateRequest body) {
        int n = body.items().getFirst().sampling().n();
        for (GenerateRequest.Item item : body.items()) {
            if (item.sampling().n() != n) {
                throw new dev.baton.serve.ServeException(
                        dev.baton.serve.ServeException.Code.BAD_REQUEST,
                        "n must be the same for every prompt of a batch, got " + n + " and "
                                + item.sampling().n() + ".");
            }
        }
        if (n > 0) {
            Requests.answers(body.items().size(), n);
        }
        return Math.max(1, n);
    }

    private int[] promptIds(GenerateRequest body, GenerateRequest.Item item, int index) {
        int[] ids = item.inputIds();
        if (ids != null) {
            return ids;
        }
        String text = item.text();
        if (text == null || text.isEmpty()) {
            String field = body.batch() ? "text[" + index + "]" : "text";
            throw new dev.baton.serve.ServeException(
                    dev.baton.serve.ServeException.Code.BAD_REQUEST,
                    field + " is empty: a prompt needs at least one token.");
        }
        return requests.codec().encode(text, true);
    }

    private EngineRequest prepare(
            GenerateRequest body, GenerateRequest.Item item, int index, int[] ids, int copy, int n) {
        String source = item.inputIds() != null ? "input_ids" : "text";
        String field = body.batch() ? source + "[" + index + "]" : source;
        GenerateRequest.Logprobs wanted = item.logprobs();
        var spec = wanted == null
                ? null
                : new EngineRequest.LogprobSpec(wanted.startPosition(), wanted.top(), wanted.tokenIds());
        String rid = item.rid() != null && n > 1 ? item.rid() + "_" + copy : item.rid();
        return requests.prepare(
                rid,
                field,
                ids,
                sampling(item.sampling(), copy),
                spec,
                bootstrap(item.bootstrap(), copy),
                item.dataParallelRank(),
                item.cacheSalt());
    }

    /** Copies of one prompt with a seed differ: each has its own. */
    public static SamplingParams sampling(SamplingParams params, int copy) {
        Long seed = params.seed();
        return seed == null || copy == 0 ? params : params.withSeed(seed + copy);
    }

    /**
     * Copies of one prompt have rooms of their own, which both halves compute alike and which do not run into the rooms
     * of a batch (those count up by one).
     */
    public static BootstrapFields bootstrap(BootstrapFields fields, int copy) {
        Long room = fields.room();
        if (room == null || copy == 0) {
            return fields;
        }
        long mixed = (room ^ (room >>> 29)) * 0xBF58476D1CE4E5B9L + copy * 0x9E3779B97F4A7C15L;
        return new BootstrapFields(fields.host(), fields.port(), mixed & Long.MAX_VALUE);
    }

    private static String rid(GenerateRequest.Item item, EngineRequest request, int copy, int n) {
        @Nullable String given = item.rid();
        if (given == null) {
            return request.rid();
        }
        return n > 1 ? given + "_" + copy : given;
    }
}
