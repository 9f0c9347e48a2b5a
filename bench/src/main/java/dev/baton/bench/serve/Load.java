package dev.baton.bench.serve;

import dev.baton.serve.http.Transport;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;

/** Connections that send one request each, or one after the other, and count what comes back. */
final class Load implements AutoCloseable {
    private final MultiThreadIoEventLoopGroup loops;
    private final List<Channel> channels = new ArrayList<>();

    /** Frames ({@code data: } lines) or replies received. */
    final LongAdder received = new LongAdder();

    final LongAdder bytes = new LongAdder();

    /**
     * @param closedLoop a new request follows each reply; else one request a connection and frames are counted
     */
    Load(int port, int connections, byte[] request, boolean closedLoop) throws InterruptedException {
        Transport transport = Transport.best();
        loops = transport.eventLoops(1, "load");
        Bootstrap bootstrap = new Bootstrap()
                .group(loops)
                .channel(transport.clientChannel())
                .option(ChannelOption.TCP_NODELAY, true)
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(new Client(request, closedLoop));
                    }
                });
        for (int i = 0; i < connections; i++) {
            channels.add(bootstrap
                    .connect(new InetSocketAddress("127.0.0.1", port))
                    .sync()
                    .channel());
        }
    }

    /** A JSON POST as it goes over the wire. */
    static byte[] request(String path, String body) {
        return ("POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" + "Content-Length: "
                        + body.length() + "\r\n\r\n" + body)
                .getBytes(StandardCharsets.ISO_8859_1);
    }

    private final class Client extends ChannelInboundHandlerAdapter {
        private final byte[] request;
        private final boolean closedLoop;
        private int previous;

        Client(byte[] request, boolean closedLoop) {
            this.request = request;
            this.closedLoop = closedLoop;
        }

        @Override
        public void channelActive(ChannelHandlerContext context) {
            context.writeAndFlush(Unpooled.wrappedBuffer(request));
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            ByteBuf buffer = (ByteBuf) message;
            bytes.add(buffer.readableBytes());
            if (closedLoop) {
                // Replies are small and end with a brace: one read holds one reply.
                if (buffer.getByte(buffer.writerIndex() - 1) == '}') {
                    received.increment();
                    context.writeAndFlush(Unpooled.wrappedBuffer(request));
                }
            } else {
                received.add(frames(buffer));
            }
            buffer.release();
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }

        /** Blank lines: each frame ends with one (a chunk's own line ends are CR LF). */
        private int frames(ByteBuf buffer) {
            int count = 0;
            for (int i = buffer.readerIndex(); i < buffer.writerIndex(); i++) {
                int b = buffer.getByte(i);
                if (b == '\n' && previous == '\n') {
                    count++;
                }
                previous = b;
            }
            return count;
        }
    }

    /** Waits until so much has come; false when it did not within the time. */
    boolean await(long count, int seconds) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (received.sum() < count) {
            if (System.nanoTime() - deadline > 0) {
                return false;
            }
            Thread.sleep(5);
        }
        return true;
    }

    @Override
    public void close() {
        channels.forEach(Channel::close);
        loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(3_000);
    }
}
