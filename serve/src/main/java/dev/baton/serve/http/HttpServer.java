package dev.baton.serve.http;

import dev.baton.serve.ServeException;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.DefaultHttpHeadersFactory;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpHeadersFactory;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.util.concurrent.EventExecutor;
import java.net.InetSocketAddress;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** An HTTP/1.1 server: bound when the constructor returns, until {@link #close}. */
public final class HttpServer implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(HttpServer.class.getName());
    private static final int BACKLOG = 4_096;
    private static final long CLOSE_MILLIS = 2_000;

    /** Makes answers of what a handler threw and of requests that are no HTTP. */
    public interface Faults {
        /** Answers the exchange; the handler threw. */
        void answer(Exchange exchange, Throwable fault);

        /** The JSON body of a refusal. */
        byte[] body(int status, String message);
    }

    /**
     * @param host address to bind; empty or {@code 0.0.0.0} for all
     * @param port 0 for any free one
     * @param eventLoopThreads threads that read and write, 0 for one a processor, at most 8
     * @param transport epoll or NIO
     * @param limits what is taken from a client
     * @param accessLog one line a request
     * @param handlers runs the handlers; {@code Runnable::run} keeps them on the event loop
     * @param listener is told of every answer
     */
    public record Config(
            String host,
            int port,
            int eventLoopThreads,
            Transport transport,
            HttpLimits limits,
            AccessLog accessLog,
            Executor handlers,
            AnswerListener listener) {}

    /** Is told, on the event loop, that an exchange has its whole answer. */
    @FunctionalInterface
    public interface AnswerListener {
        AnswerListener NONE = (exchange, status) -> {};

        void answered(Exchange exchange, int status);
    }

    private final Config config;
    private final HttpHandler handler;
    private final Faults faults;
    private final MultiThreadIoEventLoopGroup loops;
    private final Map<EventLoop, LoopState> states = new IdentityHashMap<>();
    private final StepDelivery delivery;
    private final Channel channel;
    private final AtomicInteger connections = new AtomicInteger();
    private volatile boolean closing;

    /**
     * Binds.
     *
     * @throws ServeException BIND when the address is taken or not this machine's
     */
    public HttpServer(Config config, HttpHandler handler, Faults faults) {
        this.config = config;
        this.handler = handler;
        this.faults = faults;
        int threads = config.eventLoopThreads() > 0
                ? config.eventLoopThreads()
                : Math.min(8, Runtime.getRuntime().availableProcessors());
        loops = config.transport().eventLoops(threads, "baton-http");
        for (EventExecutor executor : loops) {
            EventLoop loop = (EventLoop) executor;
            LoopState state = new LoopState(loop);
            states.put(loop, state);
            loop.scheduleWithFixedDelay(state::sweep, 1, 1, TimeUnit.SECONDS);
        }
        delivery = new StepDelivery(states.values());
        channel = bind();
    }

    private Channel bind() {
        HttpLimits limits = config.limits();
        HttpDecoderConfig decoder = new HttpDecoderConfig()
                .setMaxInitialLineLength(limits.requestLineBytes())
                .setMaxHeaderSize(limits.headerBytes())
                .setMaxChunkSize(64 << 10);
        var bootstrap = new ServerBootstrap()
                .group(loops)
                .channel(config.transport().serverChannel())
                .option(ChannelOption.SO_BACKLOG, BACKLOG)
                .option(ChannelOption.SO_REUSEADDR, true)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childOption(
                        ChannelOption.WRITE_BUFFER_WATER_MARK,
                        new WriteBufferWaterMark(limits.unsentBytes() / 2, limits.unsentBytes()))
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel child) {
                        child.pipeline().addLast(new HttpServerCodec(decoder), new Connection(HttpServer.this));
                    }
                });
        InetSocketAddress address = config.host().isEmpty()
                ? new InetSocketAddress(config.port())
                : new InetSocketAddress(config.host(), config.port());
        var bound = bootstrap.bind(address).awaitUninterruptibly();
        if (!bound.isSuccess()) {
            loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
            String where = config.host() + ":" + config.port();
            throw new ServeException(
                    ServeException.Code.BIND,
                    "Cannot listen on " + where + ": " + bound.cause().getMessage()
                            + ". Stop the process that uses the port, or choose another one (--port).",
                    bound.cause());
        }
        return bound.channel();
    }

    /** The port bound. */
    public int port() {
        return ((InetSocketAddress) channel.localAddress()).getPort();
    }

    /** Hands one step's outputs to the connections. */
    public StepDelivery delivery() {
        return delivery;
    }

    /** The event loops, for a client that shares them. */
    public MultiThreadIoEventLoopGroup eventLoops() {
        return loops;
    }

    /** Open connections. */
    public int connections() {
        return connections.get();
    }

    /** Stops accepting, closes every connection (their exchanges see the client go), and frees the threads. */
    @Override
    public void close() {
        closing = true;
        channel.close().awaitUninterruptibly(CLOSE_MILLIS);
        for (LoopState state : states.values()) {
            try {
                state.loop.execute(() -> {
                    for (Connection connection : state.connections.toArray(Connection[]::new)) {
                        connection.flushNow();
                        connection.shut();
                    }
                });
            } catch (RejectedExecutionException e) {
                // The loop has ended, and its connections with it.
            }
        }
        loops.shutdownGracefully(0, CLOSE_MILLIS, TimeUnit.MILLISECONDS).awaitUninterruptibly(2 * CLOSE_MILLIS);
    }

    HttpLimits limits() {
        return config.limits();
    }

    /** The answer is complete; {@code exchange} is null for what never became one. */
    void answered(InetSocketAddress remote, @Nullable Exchange exchange, int status) {
        config.accessLog().line(remote, exchange, status);
        if (exchange != null) {
            config.listener().answered(exchange, status);
        }
    }

    boolean isClosing() {
        return closing;
    }

    LoopState loop(EventLoop loop) {
        return states.get(loop);
    }

    /** Counts a connection; false when there are too many. */
    boolean opened() {
        return connections.incrementAndGet() <= config.limits().connections();
    }

    void closed() {
        connections.decrementAndGet();
    }

    void handle(Exchange exchange) {
        if (handler.isQuick(exchange)) {
            run(exchange);
            return;
        }
        try {
            config.handlers().execute(() -> run(exchange));
        } catch (RejectedExecutionException e) {
            faults.answer(exchange, new ServeException(ServeException.Code.UNAVAILABLE, "The server is closing.", e));
        }
    }

    private void run(Exchange exchange) {
        try {
            handler.handle(exchange);
        } catch (Throwable fault) {
            try {
                faults.answer(exchange, fault);
            } catch (RuntimeException e) {
                LOG.log(System.Logger.Level.ERROR, "A fault could not be answered", e);
                exchange.respond(500, Exchange.TEXT, "Internal Server Error");
            }
        }
    }

    byte[] faultBody(int status, String message) {
        return faults.body(status, message);
    }

    private static final HttpHeadersFactory HEADERS =
            DefaultHttpHeadersFactory.headersFactory().withValidation(false);

    HttpHeaders responseHeaders() {
        return HEADERS.newHeaders();
    }

    HttpHeaders noHeaders() {
        return NO_HEADERS;
    }

    /** Never written to. */
    private static final HttpHeaders NO_HEADERS = new DefaultHttpHeaders();

    /** Any origin may read the replies. */
    void crossOrigin(HttpHeaders request, HttpHeaders reply) {
        String origin = request.get(HttpHeaderNames.ORIGIN);
        if (origin != null) {
            boolean cookies = request.contains(HttpHeaderNames.COOKIE);
            reply.set(HttpHeaderNames.ACCESS_CONTROL_ALLOW_ORIGIN, cookies ? origin : "*");
            reply.set(HttpHeaderNames.ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
            if (cookies) {
                reply.set(HttpHeaderNames.VARY, "Origin");
            }
        }
    }
}
