package dev.baton.bench.serve;

import dev.baton.serve.http.Transport;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.concurrent.EventExecutor;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The least that a stream can cost: the framework writes the same bytes to every client, one flush each, every step. */
final class Frames {
    private final Map<EventLoop, List<Channel>> streams = new HashMap<>();
    private final byte[] frame;

    private Frames(int bytes) {
        String data = "data: " + "x".repeat(bytes) + "\n\n";
        frame = (Integer.toHexString(data.length()) + "\r\n" + data + "\r\n")
                .getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    }

    static int serve(int stepMillis, int bytes) throws InterruptedException {
        Frames frames = new Frames(bytes);
        Transport transport = Transport.best();
        MultiThreadIoEventLoopGroup loops =
                transport.eventLoops(Math.min(8, Runtime.getRuntime().availableProcessors()), "frames");
        for (EventExecutor executor : loops) {
            List<Channel> channels = new ArrayList<>();
            frames.streams.put((EventLoop) executor, channels);
            executor.scheduleAtFixedRate(
                    () -> channels.forEach(frames::write), stepMillis, stepMillis, TimeUnit.MILLISECONDS);
        }
        Channel channel = new ServerBootstrap()
                .group(loops)
                .channel(transport == Transport.EPOLL ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel child) {
                        child.pipeline().addLast(new HttpServerCodec(), frames.new Begin());
                    }
                })
                .bind(new InetSocketAddress("127.0.0.1", 0))
                .sync()
                .channel();
        return ((InetSocketAddress) channel.localAddress()).getPort();
    }

    /** Past the codec: the chunk is framed already. */
    private void write(Channel channel) {
        ChannelHandlerContext first = channel.pipeline().firstContext();
        ByteBuf buffer = channel.alloc().ioBuffer(frame.length).writeBytes(frame);
        first.writeAndFlush(buffer, first.voidPromise());
    }

    private final class Begin extends SimpleChannelInboundHandler<HttpObject> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, HttpObject part) {
            if (part instanceof LastHttpContent) {
                var head = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
                head.headers().set(HttpHeaderNames.CONTENT_TYPE, "text/event-stream");
                head.headers().set(HttpHeaderNames.TRANSFER_ENCODING, "chunked");
                context.writeAndFlush(head);
                streams.get(context.channel().eventLoop()).add(context.channel());
            }
        }
    }
}
