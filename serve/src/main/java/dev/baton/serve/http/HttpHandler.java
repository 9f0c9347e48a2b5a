package dev.baton.serve.http;

/**
 * Answers one exchange, at once or later from any thread. Runs on the server's handler executor. What it throws goes to
 * the server's {@link HttpServer.Faults}.
 */
@FunctionalInterface
public interface HttpHandler {
    void handle(Exchange exchange) throws Exception;
}
