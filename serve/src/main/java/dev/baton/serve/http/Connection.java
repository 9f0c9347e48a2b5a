package dev.baton.serve.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One client's connection, on its event loop: receives requests whole, answers them one after the other, notices when
 * the client goes, and closes what stands still for too long. Reading goes on while a request is answered, so that a
 * disconnect is seen; a client that pipelines more than the limit is not read further until it is served.
 */
final class Connection extends ChannelInboundHandlerAdapter {
    private static final System.Logger LOG = System.getLogger(Connection.class.getName());

    /** How long a refused body is read and dropped, so that the client sees the refusal and not a reset. */
    private static final int LINGER_SECONDS = 2;

    private final HttpServer server;
    private final ArrayDeque<Exchange> waiting = new ArrayDeque<>();
    private final RequestAssembly assembly;
    private LoopState loop;
    private ChannelHandlerContext context;

    /** Before the codec's encoder: chunks framed here bypass it. */
    private ChannelHandlerContext beforeCodec;

    private InetSocketAddress remote;
    private @Nullable Exchange active;
    private @Nullable ResponseStream stream;
    private boolean chunked;
    private boolean dirty;

    /** No more requests are taken; the connection closes when what it owes is sent. */
    private boolean closing;

    private int lastActivity;
    private int lastProgress;
    private long progressMark;
    private int lingerUntil = Integer.MAX_VALUE;

    Connection(HttpServer server) {
        this.server = server;
        this.assembly = new RequestAssembly(server.limits().bodyBytes());
    }

    LoopState loop() {
        return loop;
    }

    InetSocketAddress remote() {
        return remote;
    }

    boolean isActive() {
        return context.channel().isActive();
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        context = ctx;
        beforeCodec = ctx.pipeline().firstContext();
        loop = server.loop(ctx.channel().eventLoop());
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        remote = (InetSocketAddress) ctx.channel().remoteAddress();
        loop.connections.add(this);
        lastActivity = loop.seconds;
        lastProgress = loop.seconds;
        if (!server.opened()) {
            refuse(503, "Too many connections; try again later.", true);
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        loop.connections.remove(this);
        server.closed();
        assembly.reset();
        Exchange gone = active;
        active = null;
        if (gone != null) {
            gone.clientGone();
        }
        for (Exchange exchange : waiting) {
            exchange.clientGone();
        }
        waiting.clear();
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        lastActivity = loop.seconds;
        try {
            if (closing) {
                return;
            }
            if (message instanceof HttpRequest request) {
                begin(request);
            }
            if (!closing && message instanceof HttpContent content) {
                receive(content);
            }
        } finally {
            ReferenceCountUtil.release(message);
        }
    }

    private void begin(HttpRequest request) {
        if (request.decoderResult().isFailure()) {
            refuseMalformed(request.decoderResult().cause());
            return;
        }
        if (!assembly.begin(request)) {
            refuseTooLarge();
        } else if (HttpUtil.is100ContinueExpected(request)) {
            context.writeAndFlush(new DefaultFullHttpResponse(
                    HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE, Unpooled.EMPTY_BUFFER));
        }
    }

    private void receive(HttpContent content) {
        if (content.decoderResult().isFailure()) {
            refuse(400, "The request body is malformed.", false);
            return;
        }
        if (!assembly.add(content.content())) {
            refuseTooLarge();
            return;
        }
        if (content instanceof LastHttpContent) {
            Exchange exchange = new Exchange(this, assembly.request(), assembly.takeBody());
            if (active == null) {
                start(exchange);
            } else {
                waiting.add(exchange);
                if (waiting.size() >= server.limits().pipelined()) {
                    context.channel().config().setAutoRead(false);
                }
            }
        }
    }

    private void start(Exchange exchange) {
        active = exchange;
        server.handle(exchange);
    }

    private void refuseMalformed(Throwable cause) {
        switch (cause) {
            case io.netty.handler.codec.http.TooLongHttpLineException e ->
                refuse(414, "The request line is longer than " + server.limits().requestLineBytes() + " bytes.", true);
            case io.netty.handler.codec.http.TooLongHttpHeaderException e ->
                refuse(431, "The headers are longer than " + server.limits().headerBytes() + " bytes.", true);
            default -> refuse(400, "This is not an HTTP/1.1 request.", true);
        }
    }

    private void refuseTooLarge() {
        int limit = server.limits().bodyBytes();
        refuse(413, "The request body is larger than the limit of " + limit + " bytes.", true);
    }

    /** Answers what cannot become an exchange, after the answers owed; then the connection closes. */
    private void refuse(int status, String message, boolean drop) {
        assembly.reset();
        closing = true;
        if (active != null) {
            // The answers before it come first; the client finds the connection closed after them.
            return;
        }
        byte[] body = server.faultBody(status, message);
        var response = response(status, Exchange.JSON, Unpooled.wrappedBuffer(body), false);
        lingerUntil = drop ? loop.seconds + LINGER_SECONDS : loop.seconds;
        context.writeAndFlush(response);
        server.answered(remote, null, status);
        if (!drop) {
            closeAfterWrites();
        }
    }

    private DefaultFullHttpResponse response(int status, String contentType, ByteBuf content, boolean keepAlive) {
        var response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1,
                HttpResponseStatus.valueOf(status),
                content,
                server.responseHeaders(),
                server.noHeaders());
        HttpHeaders headers = response.headers();
        headers.set(HttpHeaderNames.DATE, loop.date);
        if (content.isReadable()) {
            headers.set(HttpHeaderNames.CONTENT_TYPE, contentType);
        }
        headers.set(HttpHeaderNames.CONTENT_LENGTH, Integer.toString(content.readableBytes()));
        if (!keepAlive) {
            headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        }
        return response;
    }

    /** A whole reply; on the loop. */
    void respond(Exchange exchange, int status, String type, byte[] body, int length, Map<String, String> more) {
        if (exchange != active) {
            return;
        }
        boolean keepAlive = keepsAlive(exchange);
        ByteBuf content = context.alloc().buffer(length).writeBytes(body, 0, length);
        var response = response(status, type, content, keepAlive);
        more.forEach(response.headers()::set);
        finishHead(exchange, response.headers(), keepAlive);
        exchange.status = status;
        context.write(response, context.voidPromise());
        complete(exchange, keepAlive);
    }

    private boolean keepsAlive(Exchange exchange) {
        return !closing && !server.isClosing() && HttpUtil.isKeepAlive(exchange.request());
    }

    private void finishHead(Exchange exchange, HttpHeaders headers, boolean keepAlive) {
        if (keepAlive && exchange.request().protocolVersion().equals(HttpVersion.HTTP_1_0)) {
            headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
        }
        server.crossOrigin(exchange.headers(), headers);
    }

    private void complete(Exchange exchange, boolean keepAlive) {
        exchange.complete();
        server.answered(remote, exchange, exchange.status);
        active = null;
        stream = null;
        lastActivity = loop.seconds;
        if (!keepAlive) {
            closing = true;
            waiting.clear();
            flushNow();
            closeAfterWrites();
            return;
        }
        Exchange next = waiting.poll();
        if (next != null) {
            if (!context.channel().config().isAutoRead()
                    && waiting.size() < server.limits().pipelined() / 2) {
                context.channel().config().setAutoRead(true);
            }
            flushNow();
            // Not from here: quick handlers would nest as deep as the client pipelines.
            active = next;
            loop.loop.execute(() -> {
                if (active == next) {
                    server.handle(next);
                }
            });
        } else {
            context.channel().config().setAutoRead(true);
            flushNow();
        }
    }

    private void closeAfterWrites() {
        context.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }

    /** The head of a streamed reply; false when its client has gone. On the loop. */
    boolean startStream(
            ResponseStream newStream, Exchange exchange, int status, String type, Map<String, String> more) {
        if (exchange != active || !isActive()) {
            return false;
        }
        stream = newStream;
        boolean keepAlive = keepsAlive(exchange);
        var head = new DefaultHttpResponse(
                HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), server.responseHeaders());
        head.headers().set(HttpHeaderNames.DATE, loop.date);
        head.headers().set(HttpHeaderNames.CONTENT_TYPE, type);
        chunked = !exchange.request().protocolVersion().equals(HttpVersion.HTTP_1_0);
        if (chunked) {
            head.headers().set(HttpHeaderNames.TRANSFER_ENCODING, HttpHeaderValues.CHUNKED);
        } else {
            keepAlive = false;
        }
        if (!keepAlive) {
            closing = true;
            head.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        }
        more.forEach(head.headers()::set);
        finishHead(exchange, head.headers(), keepAlive);
        exchange.status = status;
        context.write(head, context.voidPromise());
        return true;
    }

    /** One chunk, framed here in one buffer: size in hex, CR LF, bytes, CR LF. */
    void writeChunk(byte[] bytes, int offset, int length) {
        ByteBuf buffer = context.alloc().ioBuffer(length + 12);
        if (chunked) {
            int shift = 28 - (Integer.numberOfLeadingZeros(length) & ~3);
            for (; shift >= 0; shift -= 4) {
                int digit = length >>> shift & 15;
                buffer.writeByte(digit < 10 ? '0' + digit : 'a' - 10 + digit);
            }
            buffer.writeShort('\r' << 8 | '\n');
            buffer.writeBytes(bytes, offset, length);
            buffer.writeShort('\r' << 8 | '\n');
        } else {
            buffer.writeBytes(bytes, offset, length);
        }
        beforeCodec.write(buffer, beforeCodec.voidPromise());
        if (unsent() > server.limits().abortUnsentBytes()) {
            LOG.log(System.Logger.Level.WARNING, "{0} left {1} bytes unread and is closed", remote, unsent());
            context.close();
        }
    }

    void endStream(Exchange exchange) {
        boolean keepAlive = !closing;
        context.write(LastHttpContent.EMPTY_LAST_CONTENT, context.voidPromise());
        complete(exchange, keepAlive);
    }

    void flushWithBatch() {
        if (!dirty) {
            dirty = true;
            loop.flushLater(this);
        }
    }

    void flushNow() {
        dirty = false;
        context.flush();
    }

    boolean writable() {
        return context.channel().isWritable();
    }

    /** The server closes: nothing more is read or written. */
    void shut() {
        context.close();
    }

    private long unsent() {
        ChannelOutboundBuffer buffer = context.channel().unsafe().outboundBuffer();
        return buffer == null ? 0 : buffer.totalPendingWriteBytes();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        if (stream != null && ctx.channel().isWritable()) {
            stream.becameWritable();
            flushNow();
        }
    }

    /** Once a second. */
    void checkTimes() {
        HttpLimits limits = server.limits();
        int now = loop.seconds;
        if (now >= lingerUntil) {
            context.close();
            return;
        }
        if (stalledSince(now) >= limits.stallSeconds()) {
            LOG.log(System.Logger.Level.WARNING, "{0} has not read its reply and is closed", remote);
            context.close();
        } else if (assembly.inProgress() && now - lastActivity >= limits.receiveSeconds()) {
            refuse(408, "The request did not arrive in time.", true);
        } else if (active == null && !assembly.inProgress() && now - lastActivity >= limits.keepAliveSeconds()) {
            context.close();
        }
    }

    /** Seconds since the last byte went out, 0 while nothing waits. */
    private int stalledSince(int now) {
        ChannelOutboundBuffer buffer = context.channel().unsafe().outboundBuffer();
        if (buffer == null || buffer.isEmpty()) {
            lastProgress = now;
            progressMark = 0;
            return 0;
        }
        long mark = System.identityHashCode(buffer.current()) * 31L + buffer.currentProgress();
        if (mark != progressMark) {
            progressMark = mark;
            lastProgress = now;
        }
        return now - lastProgress;
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (!(cause instanceof IOException)) {
            LOG.log(System.Logger.Level.ERROR, "A connection failed", cause);
        }
        ctx.close();
    }
}
