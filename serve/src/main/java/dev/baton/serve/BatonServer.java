package dev.baton.serve;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineInfo;
import dev.baton.serve.control.ControlHandler;
import dev.baton.serve.control.HealthHandler;
import dev.baton.serve.control.InfoHandler;
import dev.baton.serve.control.MetricsHandler;
import dev.baton.serve.control.ServerState;
import dev.baton.serve.control.TokenHandler;
import dev.baton.serve.generate.Failures;
import dev.baton.serve.generate.GenerateHandler;
import dev.baton.serve.generate.RequestMetrics;
import dev.baton.serve.generate.Requests;
import dev.baton.serve.http.AccessLog;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.HttpHandler;
import dev.baton.serve.http.HttpServer;
import dev.baton.serve.http.Routes;
import dev.baton.serve.http.StepDelivery;
import dev.baton.serve.http.Transport;
import dev.baton.serve.openai.ChatHandler;
import dev.baton.serve.openai.CompletionHandler;
import dev.baton.serve.openai.ModelsHandler;
import dev.baton.serve.openai.ParseHandler;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * A server of the dialect in front of an engine: bound when {@link #start} returns, {@code Starting} (health checks
 * answer 503) until {@link #ready} is called.
 */
public final class BatonServer implements AutoCloseable {
    private static final byte[] UNAUTHORIZED = "{\"error\":\"Unauthorized\"}".getBytes(StandardCharsets.ISO_8859_1);
    private static final Set<String> OPEN_PREFIXES = Set.of("/health", "/metrics");

    private final ServeConfig config;
    private final ServerState state = new ServerState();
    private final ExecutorService handlers = Executors.newVirtualThreadPerTaskExecutor();
    private final Routes routes = new Routes();
    private final HttpServer http;
    private final @Nullable MetricsHandler metrics;

    private BatonServer(ServeConfig config, Engine engine, TextCodec codec) {
        this.config = config;
        PrometheusRegistry registry = new PrometheusRegistry();
        RequestMetrics requestMetrics = null;
        if (config.metrics()) {
            requestMetrics = new RequestMetrics(registry, config.servedModelName());
            metrics = new MetricsHandler(engine, registry, config.servedModelName());
        } else {
            metrics = null;
        }
        Failures failures = new Failures();
        http = new HttpServer(
                new HttpServer.Config(
                        config.host(),
                        config.port(),
                        config.eventLoopThreads(),
                        Transport.best(),
                        config.limits(),
                        AccessLog.of(config.accessLog()),
                        handlers,
                        this::answered),
                new Front(),
                failures);
        StepDelivery delivery = http.delivery();
        engine.onStepEnd(() -> {
            state.signOfLife();
            delivery.deliver();
        });
        addRoutes(engine, failures, new Requests(engine, codec, config, delivery, requestMetrics));
        routesReady = true;
    }

    /** Requests that come between bind and the last route wait here: false for a moment only. */
    private volatile boolean routesReady;

    /**
     * Binds and serves.
     *
     * @throws ServeException BIND when the address is taken
     */
    public static BatonServer start(ServeConfig config, Engine engine, TextCodec codec) {
        return new BatonServer(config, engine, codec);
    }

    private void addRoutes(Engine engine, Failures failures, Requests requests) {
        EngineInfo info = engine.info();
        routes.add("POST PUT", "/generate", new GenerateHandler(requests));
        routes.add("POST", "/v1/completions", new CompletionHandler(requests));
        routes.add("POST", "/v1/chat/completions", new ChatHandler(requests));
        var models = new ModelsHandler(config, info);
        routes.add("GET", "/v1/models", models::list);
        routes.addPrefix("GET", ModelsHandler.PREFIX, models::one);
        var health = new HealthHandler(engine, config, state);
        routes.add("GET", "/health", health::health);
        routes.add("GET", "/health_generate", health::generate);
        routes.add("GET", "/ping", exchange -> exchange.respond(200, Exchange.TEXT, new byte[0]));
        var information = new InfoHandler(engine, config);
        routes.add("GET", "/model_info", information::model);
        routes.add("GET", "/get_model_info", information::model);
        routes.add("GET", "/server_info", information::server);
        routes.add("GET", "/get_server_info", information::server);
        routes.add("GET", "/get_load", information::load);
        HttpHandler version = exchange ->
                exchange.respond(200, Exchange.JSON, "{\"weight_version\":\"" + config.weightVersion() + "\"}");
        routes.add("GET", "/weight_version", version);
        routes.add("GET", "/get_weight_version", version);
        var control = new ControlHandler(engine, failures);
        routes.add("GET POST", "/flush_cache", control::flushCache);
        routes.add("POST", "/abort_request", control::abort);
        routes.add("GET POST", "/slow_down", control::slowDown);
        routes.add("GET POST", "/start_profile", control::startProfile);
        routes.add("GET POST", "/stop_profile", control::stopProfile);
        routes.add("GET POST", "/end_profile", control::stopProfile);
        routes.add("GET POST", "/start_expert_distribution_record", control::startExpertRecord);
        routes.add("GET POST", "/stop_expert_distribution_record", control::stopExpertRecord);
        routes.add("GET POST", "/dump_expert_distribution_record", control::dumpExpertRecord);
        var tokens = new TokenHandler(requests.codec(), info.vocabularySize(), info.contextTokens());
        routes.add("POST", "/tokenize", tokens::tokenize);
        routes.add("POST", "/v1/tokenize", tokens::tokenize);
        routes.add("POST", "/detokenize", tokens::detokenize);
        routes.add("POST", "/v1/detokenize", tokens::detokenize);
        var parse = new ParseHandler(config);
        routes.add("POST", "/parse_function_call", parse::functionCall);
        routes.add("POST", "/separate_reasoning", parse::reasoning);
        MetricsHandler exported = metrics;
        if (exported != null) {
            routes.add("GET", "/metrics", exported::handle);
            routes.add("GET", "/metrics/", exported::handle);
        }
    }

    /** Asks for the key, then looks for the route. */
    private final class Front implements HttpHandler {
        @Override
        public boolean isQuick(Exchange exchange) {
            return routesReady && routes.isQuick(exchange);
        }

        @Override
        public void handle(Exchange exchange) throws Exception {
            if (!routesReady) {
                throw new ServeException(ServeException.Code.UNAVAILABLE, "The server is starting.");
            }
            if (!isAllowed(exchange)) {
                exchange.respond(401, Exchange.JSON, UNAUTHORIZED);
                return;
            }
            routes.handle(exchange);
        }
    }

    private boolean isAllowed(Exchange exchange) {
        String key = config.apiKey();
        if (key == null || exchange.method().equals("OPTIONS")) {
            return true;
        }
        for (String prefix : OPEN_PREFIXES) {
            if (exchange.path().startsWith(prefix)) {
                return true;
            }
        }
        byte[] expected = ("Bearer " + key).getBytes(StandardCharsets.UTF_8);
        byte[] given = exchange.headers().get("authorization", "").getBytes(StandardCharsets.UTF_8);
        return MessageDigest.isEqual(expected, given);
    }

    private void answered(Exchange exchange, int status) {
        MetricsHandler exported = metrics;
        if (exported != null) {
            exported.answered(routes.label(exchange.path()), status, exchange.method());
        }
    }

    /** The port bound. */
    public int port() {
        return http.port();
    }

    /** {@code http://HOST:PORT}, with a host that this machine can call. */
    public String url() {
        String host = config.host().isEmpty()
                        || config.host().equals("0.0.0.0")
                        || config.host().equals("::")
                ? "127.0.0.1"
                : config.host();
        return "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + port();
    }

    public ServeConfig config() {
        return config;
    }

    /** Health checks are answered from now on. */
    public void ready() {
        state.status(ServerState.Status.UP);
    }

    public ServerState.Status status() {
        return state.status();
    }

    /** Open connections. */
    public int connections() {
        return http.connections();
    }

    /** Stops accepting and closes every connection; their requests are aborted. The engine stays. */
    @Override
    public void close() {
        state.status(ServerState.Status.CLOSING);
        http.close();
        handlers.shutdown();
    }
}
