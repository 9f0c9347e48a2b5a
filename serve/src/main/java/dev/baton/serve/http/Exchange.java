package dev.baton.serve.http;

import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One request and the way to answer it. The request is whole when a handler sees it. The first answer counts, from
 * any thread: {@link #respond} or a {@link #stream} that has begun; a second one is dropped.
 */
public final class Exchange {
    /** {@code content-type} of most replies. */
    public static final String JSON = "application/json";

    public static final String TEXT = "text/plain; charset=utf-8";
    public static final String EVENT_STREAM = "text/event-stream; charset=utf-8";

    private final Connection connection;
    private final HttpRequest request;
    private final byte[] body;
    private final String path;
    private final long receivedNanos = System.nanoTime();

    /** Guarded by this. */
    private @Nullable Runnable onClose;

    private boolean closed;
    private boolean answered;

    /** The status sent, for the access log; on the loop. */
    int status;

    Exchange(Connection connection, HttpRequest request, byte[] body) {
        this.connection = connection;
        this.request = request;
        this.body = body;
        String uri = request.uri();
        int query = uri.indexOf('?');
        String raw = query < 0 ? uri : uri.substring(0, query);
        this.path = raw.indexOf('%') < 0 ? raw : decode(raw);
    }

    private static String decode(String raw) {
        try {
            return QueryStringDecoder.decodeComponent(raw.replace("+", "%2B"));
        } catch (IllegalArgumentException e) {
            return raw;
        }
    }

    public String method() {
        return request.method().name();
    }

    /** Decoded, without the query. */
    public String path() {
        return path;
    }

    /** Path and query as sent. */
    public String uri() {
        return request.uri();
    }

    public HttpHeaders headers() {
        return request.headers();
    }

    /** The whole body; not a copy. */
    public byte[] body() {
        return body;
    }

    /** The first value of a query parameter, null without one. */
    public @Nullable String query(String name) {
        Map<String, List<String>> parameters = new QueryStringDecoder(request.uri()).parameters();
        List<String> values = parameters.get(name);
        return values == null ? null : values.getFirst();
    }

    /** {@code System.nanoTime()} when the last byte of the request had come. */
    public long receivedNanos() {
        return receivedNanos;
    }

    public InetSocketAddress remote() {
        return connection.remote();
    }

    /** The loop that owns the connection. */
    public EventLoop eventLoop() {
        return connection.loop().loop;
    }

    HttpRequest request() {
        return request;
    }

    /** A whole reply. */
    public void respond(int code, String contentType, byte[] content) {
        respond(code, contentType, content, content.length, Map.of());
    }

    public void respond(int code, String contentType, String content) {
        respond(code, contentType, content.getBytes(StandardCharsets.UTF_8));
    }

    /** A whole reply of the first {@code length} bytes (not copied when this is called on the loop) and more headers. */
    public void respond(int code, String contentType, byte[] content, int length, Map<String, String> headers) {
        if (!claim()) {
            return;
        }
        if (eventLoop().inEventLoop()) {
            connection.respond(this, code, contentType, content, length, headers);
        } else {
            eventLoop().execute(() -> connection.respond(this, code, contentType, content, length, headers));
        }
    }

    /**
     * A reply to be sent piece by piece. It answers the exchange only when it begins, so that a request which turns out
     * to be refused can still get its status.
     */
    public ResponseStream stream(int code, String contentType, Map<String, String> headers) {
        return new ResponseStream(connection, this, code, contentType, headers);
    }

    /** True for the first who answers. */
    synchronized boolean claim() {
        boolean first = !answered;
        answered = true;
        return first;
    }

    public synchronized boolean isAnswered() {
        return answered;
    }

    /** The client has gone. */
    public synchronized boolean isClosed() {
        return closed;
    }

    /**
     * Runs the action once when the client goes away before its answer is complete, at once when it has gone. A later
     * action replaces an earlier one. It runs on the loop or the calling thread and must not block.
     */
    public void onClose(Runnable action) {
        synchronized (this) {
            if (!closed) {
                onClose = action;
                return;
            }
        }
        action.run();
    }

    /** On the loop: the client has gone. */
    void clientGone() {
        Runnable action;
        synchronized (this) {
            closed = true;
            action = onClose;
            onClose = null;
        }
        if (action != null) {
            action.run();
        }
    }

    /** On the loop: the answer is complete. */
    synchronized void complete() {
        onClose = null;
    }
}
