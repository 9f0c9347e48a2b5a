package dev.baton.serve.router;

import dev.baton.protocol.ProtocolException;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** {@code baton route}: listens, routes and watches its workers until closed. */
public final class Router implements AutoCloseable {
    /** Paths whose requests go to one worker or one pair. */
    private static final Set<String> PAIRED = Set.of("/generate", "/v1/completions", "/v1/chat/completions");

    /** Paths that only plain workers answer. */
    private static final Set<String> PLAIN = Set.of(
            "/v1/responses",
            "/v1/embeddings",
            "/v1/classify",
            "/v1/score",
            "/v1/rerank",
            "/rerank",
            "/encode",
            "/classify",
            "/tokenize",
            "/detokenize");

    private static final int BACKLOG = 4096;

    private final RouterCore core;
    private final WorkerCalls calls;
    private final ControlPlane control;
    private final HealthChecks health;
    private final EventLoopGroup group;
    private final Map<EventLoop, UpstreamPool> pools = new ConcurrentHashMap<>();
    private final Channel server;

    private Router(RouterConfig config) {
        core = new RouterCore(config, System::nanoTime);
        int cores = Math.min(Runtime.getRuntime().availableProcessors(), 16);
        group = new MultiThreadIoEventLoopGroup(
                config.eventLoops() > 0 ? config.eventLoops() : cores,
                new DefaultThreadFactory("router", true),
                Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
        calls = new WorkerCalls(config.apiKey());
        control = new ControlPlane(core, calls);
        health = new HealthChecks(core, calls);
        server = bind(config);
        health.start();
    }

    /**
     * Starts a router; it listens when this returns and takes requests once its workers are healthy.
     *
     * @throws ProtocolException INVALID_FLAG when the workers do not fit together or the address cannot be bound
     */
    public static Router start(RouterConfig config) {
        config.requireWorkers();
        return new Router(config);
    }

    private Channel bind(RouterConfig config) {
        Class<? extends ServerChannel> type =
                Epoll.isAvailable() ? EpollServerSocketChannel.class : NioServerSocketChannel.class;
        int largest = (int) config.maxPayloadSize();
        ChannelFuture bound = new ServerBootstrap()
                .group(group)
                .channel(type)
                .option(ChannelOption.SO_BACKLOG, BACKLOG)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        HttpDecoderConfig decoder = new HttpDecoderConfig()
                                .setMaxHeaderSize(64 << 10)
                                .setMaxChunkSize(1 << 20);
                        channel.pipeline()
                                .addLast(new HttpServerCodec(decoder))
                                .addLast(new HttpObjectAggregator(largest))
                                .addLast(new ClientConnection(Router.this::handle));
                    }
                })
                .bind(config.host(), config.port())
                .awaitUninterruptibly();
        if (!bound.isSuccess()) {
            calls.close();
            group.shutdownGracefully(0, 1, TimeUnit.SECONDS);
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG,
                    "cannot listen on " + config.host() + ":" + config.port() + ": "
                            + bound.cause().getMessage() + "; give another --host or --port",
                    bound.cause());
        }
        return bound.channel();
    }

    private ClientConnection.Work handle(FullHttpRequest request, ClientConnection client) {
        String uri = request.uri();
        int query = uri.indexOf('?');
        String path = query < 0 ? uri : uri.substring(0, query);
        if (PAIRED.contains(path) || (PLAIN.contains(path) && !core.fleet().disaggregated())) {
            if (!request.method().equals(HttpMethod.POST) && !request.method().equals(HttpMethod.PUT)) {
                client.text(405, path + " takes POST.");
                client.done();
                return () -> {};
            }
            return new ProxyExchange(core, pool(client.loop()), client, request, path).start();
        }
        if (!control.handle(path, request, client)) {
            String what =
                    PLAIN.contains(path) ? " is not served with --pd-disaggregation" : " is no path of the router";
            client.full(
                    404,
                    "text/plain; charset=utf-8",
                    Unpooled.copiedBuffer(path + what + ".", java.nio.charset.StandardCharsets.UTF_8),
                    null);
            client.done();
        }
        return () -> {};
    }

    private UpstreamPool pool(EventLoop loop) {
        return pools.computeIfAbsent(
                loop,
                key -> new UpstreamPool(key, Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class));
    }

    /** The port it listens on. */
    public int port() {
        return ((InetSocketAddress) server.localAddress()).getPort();
    }

    /** {@code http://HOST:PORT} with the host as configured: {@code 0.0.0.0} stands for every address of the machine. */
    public String url() {
        String host = core.config().host();
        return "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + port();
    }

    /** Waits until the router is closed. */
    public void awaitClosed() throws InterruptedException {
        server.closeFuture().await();
    }

    /** Stops listening, breaks off what is in progress. */
    @Override
    public void close() {
        health.close();
        server.close().awaitUninterruptibly(5, TimeUnit.SECONDS);
        group.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
        calls.close();
    }
}
