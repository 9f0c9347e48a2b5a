package dev.baton.serve.router;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpDecoderConfig;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/** The idle connections of one event loop, by worker; the last used first. Touched by its event loop only. */
final class UpstreamPool {
    /** More idle connections than this a worker and loop are closed. */
    private static final int LARGEST_IDLE = 1024;

    private static final int CONNECT_TIMEOUT_MILLIS = 10_000;
    private static final int CHUNK_BYTES = 1 << 20;

    private final Bootstrap bootstrap;
    private final Map<Worker, ArrayDeque<UpstreamConnection>> idle = new HashMap<>();

    UpstreamPool(EventLoop loop, Class<? extends Channel> channelType) {
        this.bootstrap = new Bootstrap()
                .group(loop)
                .channel(channelType)
                .option(ChannelOption.TCP_NODELAY, true)
                .option(ChannelOption.SO_KEEPALIVE, true)
                .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS);
    }

    /** Sends on an idle connection if there is one, else on a new one. */
    void send(UpstreamCall call) {
        ArrayDeque<UpstreamConnection> free = idle.get(call.worker());
        UpstreamConnection connection;
        while (free != null && (connection = free.pollLast()) != null) {
            if (connection.active()) {
                connection.begin(call, true);
                return;
            }
        }
        connect(call);
    }

    /** Sends on a new connection. */
    void connect(UpstreamCall call) {
        Worker worker = call.worker();
        UpstreamConnection connection = new UpstreamConnection(this, worker);
        ChannelFuture connected = bootstrap
                .clone()
                .handler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        HttpDecoderConfig config = new HttpDecoderConfig()
                                .setMaxHeaderSize(64 << 10)
                                .setMaxChunkSize(CHUNK_BYTES)
                                .setValidateHeaders(false);
                        channel.pipeline()
                                .addLast(new HttpClientCodec(config, false, false))
                                .addLast(connection);
                    }
                })
                .connect(worker.host(), worker.port());
        connected.addListener(future -> {
            if (!future.isSuccess()) {
                call.fail("cannot be reached: " + future.cause().getMessage());
            } else if (call.ended()) {
                connected.channel().close();
            } else {
                connection.begin(call, false);
            }
        });
    }

    void idle(UpstreamConnection connection) {
        ArrayDeque<UpstreamConnection> free = idle.computeIfAbsent(connection.worker(), worker -> new ArrayDeque<>());
        if (free.size() < LARGEST_IDLE) {
            free.addLast(connection);
        } else {
            connection.close();
        }
    }

    void gone(UpstreamConnection connection) {
        ArrayDeque<UpstreamConnection> free = idle.get(connection.worker());
        if (free != null) {
            free.remove(connection);
        }
    }
}
