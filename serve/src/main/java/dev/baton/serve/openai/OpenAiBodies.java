package dev.baton.serve.openai;

import dev.baton.protocol.request.OpenAiOptions;
import dev.baton.serve.ServeException;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.http.Exchange;
import java.util.Locale;

/** What the OpenAI endpoints ask of every body. */
final class OpenAiBodies {
    private OpenAiBodies() {}

    /** These endpoints take JSON that says so. */
    static void requireJson(Exchange exchange) {
        String type = exchange.headers().get("content-type", "");
        int end = type.indexOf(';');
        String media = (end < 0 ? type : type.substring(0, end)).strip().toLowerCase(Locale.ROOT);
        if (!media.equals("application/json")) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST, "The Content-Type must be application/json, got '" + type + "'.");
        }
    }

    static long epochSeconds() {
        return System.currentTimeMillis() / 1_000;
    }

    /** The model as the reply names it: as the client did, or as it is served. */
    static String model(OpenAiOptions options, Requests requests) {
        return options.model().equals("default") ? requests.config().servedModelName() : options.model();
    }
}
