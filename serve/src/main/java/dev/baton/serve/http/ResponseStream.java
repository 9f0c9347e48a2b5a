package dev.baton.serve.http;

import dev.baton.protocol.reply.JsonBytes;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A reply sent piece by piece. All but {@link #begin} belongs on the connection's loop. */
public final class ResponseStream {
    private final Connection connection;
    private final Exchange exchange;
    private final int status;
    private final String contentType;
    private final Map<String, String> headers;
    private @Nullable Runnable onWritable;
    private boolean tried;
    private boolean begun;
    private boolean ended;

    ResponseStream(
            Connection connection, Exchange exchange, int status, String contentType, Map<String, String> headers) {
        this.connection = connection;
        this.exchange = exchange;
        this.status = status;
        this.contentType = contentType;
        this.headers = headers;
    }

    /** Any thread: sends the head at once, unless the stream has begun or the exchange has its answer. */
    public void begin() {
        if (connection.loop().loop.inEventLoop()) {
            if (start()) {
                connection.flushNow();
            }
        } else {
            connection.loop().loop.execute(this::begin);
        }
    }

    /** Writes the head without a flush; true when this call did. */
    private boolean start() {
        if (tried) {
            return false;
        }
        tried = true;
        begun = exchange.claim() && connection.startStream(this, exchange, status, contentType, headers);
        return begun;
    }

    /** An empty buffer of the loop to build one piece in; valid until the next call. */
    public JsonBytes scratch() {
        return connection.loop().scratch();
    }

    /** Sends bytes as one chunk (after the head), without a flush. Nothing is sent when the client has gone or the stream has ended. */
    public void write(byte[] bytes, int offset, int length) {
        start();
        if (isOpen() && length > 0) {
            connection.writeChunk(bytes, offset, length);
        }
    }

    /** What was written goes out: at the end of the batch being delivered. */
    public void flushWithBatch() {
        if (begun) {
            connection.flushWithBatch();
        }
    }

    /** What was written goes out now. */
    public void flush() {
        if (begun) {
            connection.flushNow();
        }
    }

    /** False while so many bytes wait for the client that new pieces should be held back and merged. */
    public boolean writable() {
        return connection.writable();
    }

    /** Runs when {@link #writable} turns true again. */
    public void onWritable(Runnable action) {
        onWritable = action;
    }

    void becameWritable() {
        if (onWritable != null && !ended) {
            onWritable.run();
        }
    }

    /** True from the head until the end, while the client is there. */
    public boolean isOpen() {
        return begun && !ended && connection.isActive();
    }

    /** Sends the last chunk and lets the connection go on to its next request. */
    public void end() {
        start();
        if (begun && !ended) {
            ended = true;
            connection.endStream(exchange);
        }
        ended = true;
    }
}
