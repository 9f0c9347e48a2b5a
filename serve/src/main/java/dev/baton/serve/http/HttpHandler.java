package dev.baton.serve.http;

/**
 * Answers one exchange, at once or later from any thread. Runs on the server's handler executor. What it throws goes to
 * the server's {@link HttpServer.Faults}.
 */
@FunctionalInterface
public interface HttpHandler {
    void handle(Exchange exchange) throws Exception;

    /**
     * True when this exchange takes microseconds and cannot block: it is then handled on the event loop, which saves two
     * hand-overs between threads (more CPU than the rest of a small request).
     */
    default boolean isQuick(Exchange exchange) {
        return false;
    }
}
