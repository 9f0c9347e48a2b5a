package dev.baton.serve.router;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** One client's connection: its requests are answered one after the other. Touched by its event loop only. */
final class ClientConnection extends ChannelInboundHandlerAdapter {
    /** Requests that a client may send ahead. */
    private static final int LARGEST_PIPELINE = 16;

    /** What answers a request. */
    interface Service {
        /**
         * Answers {@code request} on {@code client}, now or later, and ends with {@link ClientConnection#done}. The
         * request belongs to the connection and lives until then.
         */
        Work handle(FullHttpRequest request, ClientConnection client);
    }

    /** A request in progress. */
    interface Work {
        /** The client went away: stop. */
        void clientGone();

        /** The client takes bytes again. */
        default void writable() {}
    }

    private final Service service;
    private final ArrayDeque<FullHttpRequest> waiting = new ArrayDeque<>();
    private @Nullable ChannelHandlerContext context;
    private @Nullable FullHttpRequest current;
    private @Nullable Work work;
    private boolean starting;

    ClientConnection(Service service) {
        this.service = service;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext added) {
        context = added;
    }

    EventLoop loop() {
        return channel().eventLoop();
    }

    Channel channel() {
        return Objects.requireNonNull(context).channel();
    }

    boolean writable() {
        return channel().isWritable();
    }

    @Override
    public void channelRead(ChannelHandlerContext from, Object message) {
        if (!(message instanceof FullHttpRequest request)) {
            ReferenceCountUtil.release(message);
            return;
        }
        if (current == null) {
            start(request);
        } else if (waiting.size() < LARGEST_PIPELINE) {
            waiting.addLast(request);
        } else {
            request.release();
            from.close();
        }
    }

    private void start(FullHttpRequest first) {
        FullHttpRequest request = first;
        if (starting) {
            waiting.addFirst(request);
            return;
        }
        starting = true;
        while (request != null) {
            current = request;
            if (request.decoderResult().isFailure()) {
                text(400, "The request is not HTTP.");
                channel().close();
            } else {
                Work begun = service.handle(request, this);
                if (current == request) {
                    work = begun;
                }
            }
            request = current == null ? waiting.pollFirst() : null;
        }
        starting = false;
    }

    /** The answer is written: the next request may come. */
    void done() {
        FullHttpRequest request = current;
        if (request == null) {
            return;
        }
        current = null;
        work = null;
        boolean keepAlive = HttpUtil.isKeepAlive(request);
        request.release();
        if (!keepAlive) {
            channel().writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
        } else if (!starting) {
            FullHttpRequest next = waiting.pollFirst();
            if (next != null) {
                start(next);
            }
        }
    }

    /** Writes a worker's head as this connection's own. */
    void head(HttpResponse upstream) {
        HttpResponse head = new DefaultHttpResponse(
                HttpVersion.HTTP_1_1, upstream.status(), upstream.headers().copy());
        HttpHeaders headers = head.headers();
        headers.remove(HttpHeaderNames.CONNECTION).remove("keep-alive");
        FullHttpRequest request = current;
        boolean old = request != null && request.protocolVersion().equals(HttpVersion.HTTP_1_0);
        if (!headers.contains(HttpHeaderNames.CONTENT_LENGTH)) {
            HttpUtil.setTransferEncodingChunked(head, !old);
        }
        if (request != null && (old || !HttpUtil.isKeepAlive(request))) {
            HttpUtil.setKeepAlive(head, HttpUtil.isKeepAlive(request));
        }
        channel().write(head, channel().voidPromise());
    }

    /** Writes a part of the body; takes over {@code bytes}. */
    void content(ByteBuf bytes) {
        channel().write(new DefaultHttpContent(bytes), channel().voidPromise());
    }

    void flush() {
        channel().flush();
    }

    /** Ends a body that was begun with {@link #head}. */
    void endContent() {
        channel().writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT, channel().voidPromise());
    }

    /** A whole answer of plain text. */
    void text(int status, String text) {
        full(status, "text/plain; charset=utf-8", Unpooled.copiedBuffer(text, StandardCharsets.UTF_8), null);
    }

    /** A whole answer; takes over {@code body}. */
    void full(int status, String type, ByteBuf body, @Nullable String retryAfterSeconds) {
        FullHttpResponse response =
                new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), body);
        response.headers()
                .set(HttpHeaderNames.CONTENT_TYPE, type)
                .set(HttpHeaderNames.CONTENT_LENGTH, body.readableBytes());
        if (retryAfterSeconds != null) {
            response.headers().set(HttpHeaderNames.RETRY_AFTER, retryAfterSeconds);
        }
        if (current != null && !HttpUtil.isKeepAlive(current)) {
            response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        }
        channel().writeAndFlush(response, channel().voidPromise());
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext from) {
        if (work != null && from.channel().isWritable()) {
            work.writable();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext from) {
        Work open = work;
        work = null;
        if (open != null) {
            open.clientGone();
        }
        if (current != null) {
            current.release();
            current = null;
        }
        waiting.forEach(ReferenceCountUtil::release);
        waiting.clear();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext from, Throwable cause) {
        from.close();
    }
}
