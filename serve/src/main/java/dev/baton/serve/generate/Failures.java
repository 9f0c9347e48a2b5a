package dev.baton.serve.generate;

import dev.baton.engine.EngineException;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.reply.ErrorBody;
import dev.baton.serve.ServeException;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpServer;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The one table from faults to statuses and bodies. Every JSON error holds the flat keys
 * ({@code object, message, type, param, code}) and the nested {@code error} object, so that clients of either form find
 * the message; what Baton did not expect is 500 with the text {@code Internal Server Error}.
 */
public final class Failures implements HttpServer.Faults {
    private static final System.Logger LOG = System.getLogger(Failures.class.getName());

    /** Seconds after which a client refused for a full queue may try again. */
    private static final String RETRY_AFTER_SECONDS = "1";

    @Override
    public void answer(Exchange exchange, Throwable fault) {
        switch (fault) {
            case ProtocolException e -> answer(exchange, 400, message(e));
            case ServeException e -> answer(exchange, e.code().status(), message(e));
            case EngineException e -> answer(exchange, status(e.code()), message(e));
            default -> {
                LOG.log(System.Logger.Level.ERROR, exchange.method() + " " + exchange.path() + " failed", fault);
                exchange.respond(500, Exchange.TEXT, "Internal Server Error");
            }
        }
    }

    @Override
    public byte[] body(int status, String message) {
        return ErrorBody.openAiForm(message, status == 400 ? "Bad Request" : Integer.toString(status), status);
    }

    /** The status that an engine's refusal has. */
    public static int status(EngineException.Code code) {
        return switch (code) {
            case INVALID_REQUEST -> 400;
            case QUEUE_FULL, UNAVAILABLE -> 503;
            case CONFIGURATION, TRANSFER, INTERNAL -> 500;
        };
    }

    /** A request that the engine ended with a status, before anything was sent. */
    static void answer(Exchange exchange, FinishReason.Abort abort) {
        answer(exchange, abort.statusCode(), abort.message());
    }

    static void answer(Exchange exchange, int status, String message) {
        byte[] body = ErrorBody.openAiForm(message, type(exchange, status), status);
        Map<String, String> headers = status == 503 ? Map.of("retry-after", RETRY_AFTER_SECONDS) : Map.of();
        exchange.respond(status, Exchange.JSON, body, body.length, headers);
    }

    private static String type(Exchange exchange, int status) {
        if (status != 400) {
            return Integer.toString(status);
        }
        return exchange.path().startsWith("/v1/") ? "BadRequestError" : "Bad Request";
    }

    private static String message(@Nullable Throwable fault) {
        String text = fault == null ? null : fault.getMessage();
        return text == null ? "unknown fault" : text;
    }
}
