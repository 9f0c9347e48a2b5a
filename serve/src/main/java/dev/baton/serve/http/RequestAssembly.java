package dev.baton.serve.http;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Gathers one request's body, never more than the limit; memory follows what has come, not what is announced. */
final class RequestAssembly {
    private static final byte[] EMPTY = new byte[0];
    private static final int FIRST_BYTES = 64 << 10;

    private final int limit;
    private @Nullable HttpRequest request;
    private byte[] body = EMPTY;
    private int length;
    private int announced;

    RequestAssembly(int limit) {
        this.limit = limit;
    }

    /** False when the announced body is over the limit. */
    boolean begin(HttpRequest head) {
        request = head;
        length = 0;
        body = EMPTY;
        long contentLength = HttpUtil.getContentLength(head, 0L);
        if (contentLength > limit) {
            return false;
        }
        announced = (int) contentLength;
        return true;
    }

    /** False when the body grows over the limit. */
    boolean add(ByteBuf content) {
        int count = content.readableBytes();
        if (count == 0) {
            return true;
        }
        if (count > limit - length) {
            return false;
        }
        if (length + count > body.length) {
            long doubled = Math.max(body.length * 2L, Math.min(announced, FIRST_BYTES));
            long bounded = announced > 0 ? Math.min(doubled, announced) : Math.min(doubled, limit);
            body = Arrays.copyOf(body, (int) Math.max(length + count, bounded));
        }
        content.readBytes(body, length, count);
        length += count;
        return true;
    }

    boolean inProgress() {
        return request != null;
    }

    HttpRequest request() {
        return Objects.requireNonNull(request);
    }

    /** The body, whole; the next request begins. */
    byte[] takeBody() {
        byte[] whole = length == body.length ? body : Arrays.copyOf(body, length);
        reset();
        return whole;
    }

    void reset() {
        request = null;
        body = EMPTY;
        length = 0;
    }
}
