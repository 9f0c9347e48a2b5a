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
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Requests at the times of a seeded Poisson process, whatever the server does (open loop), over kept-alive connections.
 * A latency runs from the time at which the request was due to the last byte of its reply, so a server that falls behind
 * cannot hide it. A request without a good reply is lost.
 */
final class PacedLoad implements AutoCloseable {
    private static final int DRAIN_SECONDS = 10;

    private final MultiThreadIoEventLoopGroup loops;
    private final Bootstrap bootstrap;
    private final byte[] request;

    /** Free connections; on the loop. */
    private final ArrayDeque<Client> free = new ArrayDeque<>();

    /** Nanoseconds a request, 0 while there is no reply. */
    private long[] latencies = new long[0];

    private final AtomicInteger answered = new AtomicInteger();

    PacedLoad(int port, byte[] request) {
        this.request = request;
        Transport transport = Transport.best();
        loops = transport.eventLoops(1, "paced-load");
        bootstrap = new Bootstrap()
                .group(loops)
                .channel(transport.clientChannel())
                .option(ChannelOption.TCP_NODELAY, true)
                .remoteAddress(new InetSocketAddress("127.0.0.1", port));
    }

    /**
     * @param sent requests
     * @param lost of these, without a reply of status 200
     * @param latencyNanos of the others, sorted
     */
    record Outcome(int sent, int lost, long[] latencyNanos) {
        double millis(double quantile) {
            int last = latencyNanos.length - 1;
            return last < 0 ? Double.NaN : latencyNanos[(int) Math.round(quantile * last)] * 1e-6;
        }
    }

    /** Sends for so long and waits for what is still out. */
    Outcome run(double requestsPerSecond, double seconds, long seed) throws InterruptedException {
        Random random = new Random(seed);
        long[] due = new long[(int) (requestsPerSecond * seconds)];
        double at = 0;
        for (int i = 0; i < due.length; i++) {
            at += -Math.log(1 - random.nextDouble()) / requestsPerSecond;
            due[i] = (long) (at * 1e9);
        }
        latencies = new long[due.length];
        answered.set(0);
        long start = System.nanoTime();
        for (int i = 0; i < due.length; i++) {
            for (long left = start + due[i] - System.nanoTime(); left > 0; left = start + due[i] - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
            int index = i;
            loops.execute(() -> send(index, start + due[index]));
        }
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(DRAIN_SECONDS);
        while (answered.get() < due.length && System.nanoTime() - deadline < 0) {
            Thread.sleep(5);
        }
        long[] good =
                Arrays.stream(latencies).filter(nanos -> nanos > 0).sorted().toArray();
        return new Outcome(due.length, due.length - good.length, good);
    }

    private void send(int index, long dueNanos) {
        Client client = free.pollLast();
        if (client != null) {
            client.send(index, dueNanos);
            return;
        }
        Client fresh = new Client(index, dueNanos);
        bootstrap
                .clone()
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(fresh);
                    }
                })
                .connect()
                .addListener(connected -> {
                    if (!connected.isSuccess()) {
                        answered.incrementAndGet();
                    }
                });
    }

    private final class Client extends ChannelInboundHandlerAdapter {
        private int index;
        private long dueNanos;
        private boolean busy = true;
        private boolean good;
        private ChannelHandlerContext context;

        Client(int index, long dueNanos) {
            this.index = index;
            this.dueNanos = dueNanos;
        }

        void send(int nextIndex, long nextDueNanos) {
            index = nextIndex;
            dueNanos = nextDueNanos;
            busy = true;
            good = false;
            context.writeAndFlush(Unpooled.wrappedBuffer(request));
        }

        @Override
        public void channelActive(ChannelHandlerContext active) {
            context = active;
            active.writeAndFlush(Unpooled.wrappedBuffer(request));
        }

        @Override
        public void channelRead(ChannelHandlerContext from, Object message) {
            ByteBuf buffer = (ByteBuf) message;
            int start = buffer.readerIndex();
            // "HTTP/1.1 200": a reply's first read begins with its status.
            good |= buffer.readableBytes() > 12 && buffer.getByte(start) == 'H' && buffer.getByte(start + 9) == '2';
            boolean end = buffer.getByte(buffer.writerIndex() - 1) == '}';
            buffer.release();
            if (end && busy) {
                busy = false;
                latencies[index] = good ? System.nanoTime() - dueNanos : 0;
                answered.incrementAndGet();
                free.addLast(this);
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext from) {
            free.remove(this);
            if (busy) {
                busy = false;
                answered.incrementAndGet();
            }
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext from, Throwable cause) {
            from.close();
        }
    }

    @Override
    public void close() {
        loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(3_000);
    }
}
