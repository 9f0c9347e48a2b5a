package dev.baton.bench.serve;

import dev.baton.serve.BatonServer;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.TextCodec;
import dev.baton.serve.http.Transport;
import dev.baton.serve.router.Router;
import dev.baton.serve.router.RouterConfig;
import dev.baton.serve.router.WorkerAddress;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * The server processes of {@link FrontEndBenchmark} and {@link RouterBenchmark}: {@code baton STEP_MILLIS}, {@code hello},
 * {@code frames STEP_MILLIS BYTES}, {@code worker PORT} or {@code router PREFILL_PORT DECODE_PORT}. Prints {@code PORT n} and runs until its input closes.
 */
public final class ServerMain {
    private ServerMain() {}

    public static void main(String[] args) throws Exception {
        int port = switch (args[0]) {
            case "hello" -> fixed(0);
            case "worker" -> fixed(Integer.parseInt(args[1]));
            case "frames" -> Frames.serve(Integer.parseInt(args[1]), Integer.parseInt(args[2]));
            case "router" -> router(args[1], args[2]);
            default -> baton(Integer.parseInt(args[1]));
        };
        System.out.println("PORT " + port);
        System.out.flush();
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }

    private static int baton(int stepMillis) {
        var config = ServeConfig.of("free").port(0).accessLog(false).build();
        BatonServer server = BatonServer.start(config, new FreeEngine(stepMillis), new LetterCodec());
        server.ready();
        return server.port();
    }

    /** A router as {@code baton route} starts it. */
    private static int router(String prefillPort, String decodePort) {
        Map<String, Object> flags = Map.of(
                "host",
                "127.0.0.1",
                "port",
                0,
                "pd_disaggregation",
                true,
                "prefill",
                List.of(new WorkerAddress("http://127.0.0.1:" + prefillPort, 8_998)),
                "decode",
                List.of(new WorkerAddress("http://127.0.0.1:" + decodePort, null)));
        return Router.start(RouterConfig.of(flags)).port();
    }

    /** The framework alone: a whole request in, a fixed JSON body of the same size as {@code /generate}'s reply out. */
    private static int fixed(int port) throws InterruptedException {
        byte[] body = ("{\"text\":\" word\",\"pad\":\"" + "x".repeat(270) + "\"}").getBytes(StandardCharsets.UTF_8);
        Transport transport = Transport.best();
        Channel channel = new ServerBootstrap()
                .group(transport.eventLoops(Math.min(8, Runtime.getRuntime().availableProcessors()), "hello"))
                .channel(transport == Transport.EPOLL ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
                .option(ChannelOption.SO_BACKLOG, 4_096)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel child) {
                        child.pipeline()
                                .addLast(new HttpServerCodec(), new HttpObjectAggregator(1 << 20), new Hello(body));
                    }
                })
                .bind(new InetSocketAddress("127.0.0.1", port))
                .sync()
                .channel();
        return ((InetSocketAddress) channel.localAddress()).getPort();
    }

    private static final class Hello extends SimpleChannelInboundHandler<FullHttpRequest> {
        private final byte[] body;

        Hello(byte[] body) {
            this.body = body;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
            var reply = new DefaultFullHttpResponse(
                    HttpVersion.HTTP_1_1, HttpResponseStatus.OK, Unpooled.wrappedBuffer(body));
            reply.headers().set(HttpHeaderNames.CONTENT_TYPE, "application/json");
            reply.headers().set(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(body.length));
            context.writeAndFlush(reply);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }
    }

    /** One token a letter: the benchmark measures no tokenizer. */
    private static final class LetterCodec implements TextCodec {
        @Override
        public int[] encode(String text, boolean special) {
            return text.chars().map(c -> c % FreeEngine.VOCABULARY).toArray();
        }

        @Override
        public String decode(int[] ids, boolean skipSpecial) {
            return "x".repeat(ids.length);
        }

        @Override
        public String renderChat(
                List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> arguments) {
            return String.valueOf(messages.getLast().get("content"));
        }

        @Override
        public String text(int id) {
            return "x";
        }

        @Override
        public byte[] bytes(int id) {
            return new byte[] {'x'};
        }
    }
}
