package dev.baton.serve;

import dev.baton.serve.generate.Failures;
import dev.baton.serve.http.AccessLog;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpHandler;
import dev.baton.serve.http.HttpLimits;
import dev.baton.serve.http.HttpServer;
import dev.baton.serve.http.Routes;
import dev.baton.serve.http.Transport;

/**
 * What a node that is not node 0 answers, as in the dialect: it is alive while its process is. Everything else is served
 * by node 0.
 */
public final class NodeServer implements AutoCloseable {
    private final HttpServer http;

    private NodeServer(HttpServer http) {
        this.http = http;
    }

    /**
     * Binds and answers.
     *
     * @throws ServeException BIND when the address is taken
     */
    public static NodeServer start(String host, int port) {
        HttpHandler alive = new HttpHandler() {
            @Override
            public boolean isQuick(Exchange exchange) {
                return true;
            }

            @Override
            public void handle(Exchange exchange) {
                exchange.respond(200, Exchange.TEXT, new byte[0]);
            }
        };
        Routes routes = new Routes()
                .add("GET", "/ping", alive)
                .add("GET", "/health", alive)
                .add("GET", "/health_generate", alive);
        HttpServer.Config config = new HttpServer.Config(
                host,
                port,
                1,
                Transport.best(),
                HttpLimits.DEFAULT,
                AccessLog.of(true),
                Runnable::run,
                HttpServer.AnswerListener.NONE);
        return new NodeServer(new HttpServer(config, routes, new Failures()));
    }

    /** The port bound. */
    public int port() {
        return http.port();
    }

    @Override
    public void close() {
        http.close();
    }
}
