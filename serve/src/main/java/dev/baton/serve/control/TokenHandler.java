package dev.baton.serve.control;

import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.request.ControlRequests;
import dev.baton.serve.ServeException;
import dev.baton.serve.TextCodec;
import dev.baton.serve.http.Exchange;
import java.util.ArrayList;
import java.util.List;

/** {@code /tokenize} and {@code /detokenize}. */
public final class TokenHandler {
    private final TextCodec codec;
    private final int vocabularySize;
    private final int contextTokens;

    public TokenHandler(TextCodec codec, int vocabularySize, int contextTokens) {
        this.codec = codec;
        this.vocabularySize = vocabularySize;
        this.contextTokens = contextTokens;
    }

    /** {@code {"tokens":[..],"count":n,"max_model_len":m}}; lists of them for a list of texts. */
    public void tokenize(Exchange exchange) {
        ControlRequests.Tokenize body = ControlRequests.tokenize(exchange.body());
        List<int[]> tokens = new ArrayList<>();
        List<Integer> counts = new ArrayList<>();
        for (String prompt : body.prompts()) {
            int[] ids = codec.encode(prompt, body.addSpecialTokens());
            tokens.add(ids);
            counts.add(ids.length);
        }
        JsonBytes out = new JsonBytes(256).raw('{');
        out.key("tokens").value(body.list() ? tokens : tokens.getFirst());
        out.key("count").value(body.list() ? counts : counts.getFirst());
        out.key("max_model_len").number(contextTokens);
        exchange.respond(200, Exchange.JSON, out.raw('}').toByteArray());
    }

    /** {@code {"text":..}}. */
    public void detokenize(Exchange exchange) {
        ControlRequests.Detokenize body = ControlRequests.detokenize(exchange.body());
        List<String> texts = new ArrayList<>();
        for (int[] ids : body.tokens()) {
            for (int id : ids) {
                if (id < 0 || id >= vocabularySize) {
                    throw new ServeException(
                            ServeException.Code.BAD_REQUEST,
                            "tokens holds " + id + ", outside the vocabulary [0, " + vocabularySize + ").");
                }
            }
            texts.add(codec.decode(ids, body.skipSpecialTokens()));
        }
        JsonBytes out = new JsonBytes(256).raw('{');
        out.key("text").value(body.list() ? texts : texts.getFirst());
        exchange.respond(200, Exchange.JSON, out.raw('}').toByteArray());
    }
}
