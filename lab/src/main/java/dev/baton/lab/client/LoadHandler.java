package dev.baton.lab.client;

import dev.baton.lab.client.LoadClient.LoadCall;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** One connection: one call at a time. Touched by its event loop only. */
final class LoadHandler extends ChannelInboundHandlerAdapter {
    private static final int ERROR_BYTES = 4096;

    private final LongSupplier clock;
    private final String authority;
    private final @Nullable String authorization;
    private final Consumer<LoadHandler> idle;
    private final Consumer<LoadCall> again;

    private @Nullable Channel channel;
    private @Nullable LoadCall call;
    private SseLines lines = new SseLines();
    private StringBuilder whole = new StringBuilder();
    private boolean reused;
    private boolean anyByte;
    private boolean keepAlive;
    private boolean stream;
    private int status;
    private long idleSince;

    LoadHandler(
            LongSupplier clock,
            String authority,
            @Nullable String authorization,
            Consumer<LoadHandler> idle,
            Consumer<LoadCall> again) {
        this.clock = clock;
        this.authority = authority;
        this.authorization = authorization;
        this.idle = idle;
        this.again = again;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) {
        channel = context.channel();
    }

    boolean fresh(long nanos, long freshNanos) {
        return channel != null && channel.isActive() && nanos - idleSince < freshNanos;
    }

    void close() {
        if (channel != null) {
            channel.close();
        }
    }

    void begin(LoadCall next, boolean usedBefore) {
        Channel connection = java.util.Objects.requireNonNull(channel);
        call = next;
        reused = usedBefore;
        anyByte = false;
        status = 0;
        lines = new SseLines();
        whole = new StringBuilder();
        next.channel(connection);
        FullHttpRequest request = new DefaultFullHttpRequest(
                HttpVersion.HTTP_1_1, HttpMethod.POST, next.path, Unpooled.wrappedBuffer(next.body));
        request.headers()
                .set(HttpHeaderNames.HOST, authority)
                .set(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_JSON)
                .set(HttpHeaderNames.CONTENT_LENGTH, next.body.length);
        if (authorization != null) {
            request.headers().set(HttpHeaderNames.AUTHORIZATION, authorization);
        }
        connection.writeAndFlush(request);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        try {
            LoadCall current = call;
            if (current != null && message instanceof HttpObject part) {
                read(current, part);
            }
        } finally {
            ReferenceCountUtil.release(message);
        }
    }

    private void read(LoadCall current, HttpObject part) {
        anyByte = true;
        long now = clock.getAsLong();
        if (part.decoderResult().isFailure()) {
            current.fail("the answer is not HTTP: " + part.decoderResult().cause());
            close();
            return;
        }
        if (part instanceof HttpResponse response) {
            status = response.status().code();
            keepAlive = HttpUtil.isKeepAlive(response);
            String type = response.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
            stream = status == 200 && type.startsWith("text/event-stream");
        }
        if (part instanceof HttpContent content) {
            body(current, content.content(), now);
            if (part instanceof LastHttpContent) {
                complete(current, now);
            }
        }
    }

    private void body(LoadCall current, ByteBuf bytes, long now) {
        if (stream) {
            lines.feed(bytes, now, current.recorder);
        } else if (status == 200 || whole.length() < ERROR_BYTES) {
            whole.append(bytes.toString(StandardCharsets.ISO_8859_1));
        }
    }

    private void complete(LoadCall current, long now) {
        byte[] body = whole.toString().getBytes(StandardCharsets.ISO_8859_1);
        if (stream) {
            lines.end(now, current.recorder);
        } else if (status == 200 && body.length > 0) {
            current.recorder.line(body, body.length, now);
        } else if (status != 200) {
            String text = new String(body, 0, Math.min(body.length, ERROR_BYTES), StandardCharsets.UTF_8);
            current.recorder.fail("HTTP " + status + ": " + text.strip());
        }
        call = null;
        current.end();
        if (keepAlive) {
            idleSince = now;
            idle.accept(this);
        } else {
            close();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        lost("the connection was closed before the answer ended");
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        lost("the connection broke: " + cause.getMessage());
        context.close();
    }

    private void lost(String why) {
        LoadCall current = call;
        call = null;
        if (current == null || current.ended()) {
            return;
        }
        // The server dropped an idle connection just as it was used again: nothing was answered, so a new one is safe.
        if (reused && !anyByte && !current.retried) {
            current.retried = true;
            again.accept(current);
            return;
        }
        if (stream) {
            lines.end(clock.getAsLong(), current.recorder);
        }
        current.fail(why);
    }
}
