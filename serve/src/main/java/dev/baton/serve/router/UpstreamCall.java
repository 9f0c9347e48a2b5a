package dev.baton.serve.router;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponse;
import org.jspecify.annotations.Nullable;

/**
 * One request to one worker. It ends exactly once: with {@link Listener#end}, {@link Listener#failed} or
 * {@link #abort}; after that no listener method is called. Touched by its event loop only.
 */
final class UpstreamCall {
    /** Who sent the request. */
    interface Listener {
        /** The answer's head. */
        void head(UpstreamCall call, HttpResponse head);

        /** A part of the answer's body; the listener owns it. */
        void content(UpstreamCall call, ByteBuf bytes);

        /** All that one read brought has been handed over. */
        void readComplete(UpstreamCall call);

        /** The answer is whole. */
        void end(UpstreamCall call);

        /** There is no whole answer. */
        void failed(UpstreamCall call, String why);
    }

    private final Worker worker;
    private final Listener listener;
    private final HttpMethod method;
    private final String uri;
    private final HttpHeaders headers;
    private final ByteBuf body;
    private @Nullable UpstreamConnection connection;
    private boolean ended;
    private boolean paused;
    private boolean resent;

    /** The call owns {@code body}. */
    UpstreamCall(Worker worker, Listener listener, HttpMethod method, String uri, HttpHeaders headers, ByteBuf body) {
        this.worker = worker;
        this.listener = listener;
        this.method = method;
        this.uri = uri;
        this.headers = headers;
        this.body = body;
        worker.begin();
    }

    Worker worker() {
        return worker;
    }

    Listener listener() {
        return listener;
    }

    HttpMethod method() {
        return method;
    }

    String uri() {
        return uri;
    }

    HttpHeaders headers() {
        return headers;
    }

    ByteBuf body() {
        return body;
    }

    boolean ended() {
        return ended;
    }

    /** A connection that the worker had closed was used; one more try on a new one. False the second time. */
    boolean mayResend() {
        boolean first = !resent;
        resent = true;
        return first && !ended;
    }

    void connection(@Nullable UpstreamConnection used) {
        connection = used;
        if (used != null && paused) {
            used.autoRead(false);
        }
    }

    /** Stops reading the answer until {@link #resume}. */
    void pause() {
        if (!paused) {
            paused = true;
            if (connection != null) {
                connection.autoRead(false);
            }
        }
    }

    void resume() {
        if (paused) {
            paused = false;
            if (connection != null) {
                connection.autoRead(true);
            }
        }
    }

    /** Gives up: closes the connection, which is how the worker learns of it. */
    void abort() {
        if (finish()) {
            UpstreamConnection used = connection;
            connection = null;
            if (used != null) {
                used.close();
            }
        }
    }

    void endedWell() {
        if (finish()) {
            listener.end(this);
        }
    }

    void fail(String why) {
        if (finish()) {
            listener.failed(this, why);
        }
    }

    private boolean finish() {
        if (ended) {
            return false;
        }
        ended = true;
        worker.end();
        body.release();
        return true;
    }
}
