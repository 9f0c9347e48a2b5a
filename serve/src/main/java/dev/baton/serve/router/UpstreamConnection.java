package dev.baton.serve.router;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** One kept-alive connection to a worker; one call at a time. Touched by its event loop only. */
final class UpstreamConnection extends ChannelInboundHandlerAdapter {
    private final UpstreamPool pool;
    private final Worker worker;
    private @Nullable Channel channel;
    private @Nullable UpstreamCall call;
    private boolean reused;
    private boolean answered;
    private boolean keepAlive;

    UpstreamConnection(UpstreamPool pool, Worker worker) {
        this.pool = pool;
        this.worker = worker;
    }

    Worker worker() {
        return worker;
    }

    boolean active() {
        return channel != null && channel.isActive();
    }

    void close() {
        call = null;
        if (channel != null) {
            channel.close();
        }
    }

    void autoRead(boolean on) {
        if (channel != null) {
            channel.config().setAutoRead(on);
        }
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) {
        channel = context.channel();
    }

    void begin(UpstreamCall next, boolean usedBefore) {
        call = next;
        reused = usedBefore;
        answered = false;
        next.connection(this);
        FullHttpRequest request = new DefaultFullHttpRequest(
                HttpVersion.HTTP_1_1,
                next.method(),
                next.uri(),
                next.body().retainedDuplicate(),
                next.headers(),
                io.netty.handler.codec.http.EmptyHttpHeaders.INSTANCE);
        Objects.requireNonNull(channel).writeAndFlush(request);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        UpstreamCall current = call;
        if (current == null || !(message instanceof HttpObject part)) {
            ReferenceCountUtil.release(message);
            return;
        }
        if (part.decoderResult().isFailure()) {
            ReferenceCountUtil.release(message);
            call = null;
            context.close();
            current.fail("answered something that is not HTTP");
            return;
        }
        answered = true;
        if (part instanceof HttpResponse head) {
            // 100 Continue and its kind come before the answer.
            if (head.status().codeClass() == HttpStatusClass.INFORMATIONAL) {
                ReferenceCountUtil.release(message);
                return;
            }
            keepAlive = HttpUtil.isKeepAlive(head);
            current.listener().head(current, head);
        }
        if (part instanceof HttpContent content) {
            boolean last = content instanceof LastHttpContent;
            if (!current.ended() && content.content().isReadable()) {
                current.listener().content(current, content.content());
            } else {
                content.release();
            }
            if (last && call == current) {
                call = null;
                current.connection(null);
                if (keepAlive) {
                    context.channel().config().setAutoRead(true);
                    pool.idle(this);
                } else {
                    context.close();
                }
                current.endedWell();
            }
        }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
        UpstreamCall current = call;
        if (current != null) {
            current.listener().readComplete(current);
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        pool.gone(this);
        lost("closed the connection before its answer was whole");
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
        lost("broke the connection: " + cause.getMessage());
    }

    private void lost(String why) {
        UpstreamCall current = call;
        call = null;
        if (current == null) {
            return;
        }
        current.connection(null);
        // Workers drop idle connections (uvicorn after 5 s); losing that race is no failure of the worker.
        if (reused && !answered && current.mayResend()) {
            pool.connect(current);
        } else {
            current.fail(why);
        }
    }
}
