package dev.baton.lab.client;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpDecoderConfig;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Sends requests to one server and times their answers; thousands at once on few event loops. Connections are kept
 * alive and used again while fresh. Every call ends: with an answer, an error or its time-out.
 */
final class LoadClient implements AutoCloseable {
    /** Servers drop idle connections after 5 s (uvicorn); an older one is not used again. */
    private static final long FRESH_NANOS = TimeUnit.SECONDS.toNanos(2);

    private static final int CONNECT_TIMEOUT_MILLIS = 30_000;
    private static final int CHUNK_BYTES = 1 << 20;

    private final EventLoopGroup group;
    private final Lane[] lanes;
    private final AtomicInteger nextLane = new AtomicInteger();
    private final LongSupplier clock;
    private final String host;
    private final int port;
    private final @Nullable String authorization = Authorization.header();

    /** What one event loop owns. */
    private static final class Lane {
        final EventLoop loop;
        final ArrayDeque<LoadHandler> idle = new ArrayDeque<>();

        Lane(EventLoop loop) {
            this.loop = loop;
        }
    }

    /**
     * A client of one server.
     *
     * @param base {@code http://host:port}
     * @param threads event loops
     * @param clock nanoseconds, monotonic
     */
    LoadClient(URI base, int threads, LongSupplier clock) {
        this.clock = clock;
        this.host = base.getHost();
        this.port = base.getPort() < 0 ? 80 : base.getPort();
        this.group = new MultiThreadIoEventLoopGroup(
                threads, Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
        this.lanes = new Lane[threads];
        for (int i = 0; i < threads; i++) {
            lanes[i] = new Lane(group.next());
        }
    }

    /**
     * Sends one request; its clock starts now.
     *
     * @param path where to post
     * @param body JSON
     * @param recorder times the answer
     * @param timeoutNanos after which the request is lost
     * @param done told once, on an event loop
     */
    void send(String path, byte[] body, AnswerRecorder recorder, long timeoutNanos, Consumer<RequestOutcome> done) {
        LoadCall call = new LoadCall(path, body, recorder, timeoutNanos, done);
        recorder.start(clock.getAsLong());
        Lane lane = lanes[Math.floorMod(nextLane.getAndIncrement(), lanes.length)];
        lane.loop.execute(() -> {
            call.startTimer(lane.loop);
            dispatch(lane, call);
        });
    }

    private void dispatch(Lane lane, LoadCall call) {
        for (LoadHandler handler; (handler = lane.idle.pollLast()) != null; ) {
            if (handler.fresh(clock.getAsLong(), FRESH_NANOS)) {
                handler.begin(call, true);
                return;
            }
            handler.close();
        }
        connect(lane, call);
    }

    private void connect(Lane lane, LoadCall call) {
        LoadHandler handler = new LoadHandler(
                clock, host + ":" + port, authorization, lane.idle::addLast, stale -> connect(lane, stale));
        ChannelFuture connected = new Bootstrap()
                .group(lane.loop)
                .channel(Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class)
                .option(ChannelOption.TCP_NODELAY, true)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
                .handler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                        channel.pipeline()
                                .addLast(new HttpClientCodec(
                                        new HttpDecoderConfig()
                                                .setMaxHeaderSize(64 << 10)
                                                .setMaxChunkSize(CHUNK_BYTES),
                                        false,
                                        false))
                                .addLast(handler);
                    }
                })
                .connect(host, port);
        call.channel(connected.channel());
        connected.addListener(future -> {
            if (!future.isSuccess()) {
                call.fail("cannot connect to " + host + ":" + port + ": "
                        + future.cause().getMessage());
            } else if (call.ended()) {
                connected.channel().close();
            } else {
                handler.begin(call, false);
            }
        });
    }

    /** One request on its way. Touched by its event loop only. */
    static final class LoadCall {
        final String path;
        final byte[] body;
        final AnswerRecorder recorder;
        private final long timeoutNanos;
        private final Consumer<RequestOutcome> done;
        private io.netty.util.concurrent.@Nullable Future<?> timer;
        private @Nullable Channel channel;
        private boolean ended;
        boolean retried;

        LoadCall(String path, byte[] body, AnswerRecorder recorder, long timeoutNanos, Consumer<RequestOutcome> done) {
            this.path = path;
            this.body = body;
            this.recorder = recorder;
            this.timeoutNanos = timeoutNanos;
            this.done = done;
        }

        void startTimer(EventLoop loop) {
            timer = loop.schedule(
                    () -> {
                        fail("no whole answer within " + AnswerRecorder.seconds(timeoutNanos) + " s");
                        if (channel != null) {
                            channel.close();
                        }
                    },
                    timeoutNanos,
                    TimeUnit.NANOSECONDS);
        }

        void channel(Channel used) {
            channel = used;
        }

        boolean ended() {
            return ended;
        }

        void fail(String why) {
            if (!ended && !recorder.finished()) {
                recorder.fail(why);
            }
            end();
        }

        void end() {
            if (ended) {
                return;
            }
            ended = true;
            if (timer != null) {
                timer.cancel(false);
            }
            done.accept(recorder.outcome());
        }
    }

    /** Closes every connection; calls still open end as lost. */
    @Override
    public void close() {
        group.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
    }
}
