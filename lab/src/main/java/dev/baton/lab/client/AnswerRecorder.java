package dev.baton.lab.client;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Times one answer, line by line. The clock starts when the request is sent; a stream is whole only when a finish
 * reason other than {@code abort} was seen, so that an error frame or a stream that just ends is a lost request.
 * Used by one event loop.
 */
abstract class AnswerRecorder implements SseLines.Sink {
    private static final byte[] DATA = "data:".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] DONE = "[DONE]".getBytes(StandardCharsets.US_ASCII);

    private final int index;
    private final int promptTokens;
    private final Doubles itls = new Doubles();
    private long startNanos;
    private long lastLineNanos;
    private long lastTokenNanos;
    private boolean anyLine;
    private boolean anyText;
    private double ttftSeconds;
    private boolean finished;
    private @Nullable String error;
    protected int outputTokens;

    AnswerRecorder(int index, int promptTokens) {
        this.index = index;
        this.promptTokens = promptTokens;
    }

    /** A recorder for the backend's form; {@code requestedTokens} stands in where the server gives no count. */
    static AnswerRecorder of(Backend.Form form, int index, int promptTokens, int requestedTokens) {
        return form == Backend.Form.GENERATE
                ? new GenerateRecorder(index, promptTokens)
                : new CompletionsRecorder(index, promptTokens, requestedTokens, form == Backend.Form.CHAT);
    }

    final void start(long nanos) {
        startNanos = nanos;
        started(nanos);
    }

    /** The request was sent. */
    protected void started(long nanos) {}

    @Override
    public final void line(byte[] bytes, int length, long nanos) {
        int from = 0;
        if (Bytes.startsWith(bytes, 0, length, DATA)) {
            from = DATA.length;
            while (from < length && bytes[from] == ' ') {
                from++;
            }
        } else if (bytes[0] == ':') {
            return; // a comment keeps the connection alive and says nothing
        }
        anyLine = true;
        lastLineNanos = nanos;
        if (length - from == DONE.length && Bytes.startsWith(bytes, from, length, DONE)) {
            return;
        }
        try {
            frame(bytes, from, length, nanos);
        } catch (JacksonException e) {
            fail("a frame is not JSON: "
                    + new String(bytes, from, Math.min(length - from, 200), StandardCharsets.UTF_8));
        }
    }

    /** One JSON frame in {@code bytes[from, to)}. */
    protected abstract void frame(byte[] bytes, int from, int to, long nanos);

    /** The answer's text so far. */
    protected abstract String text();

    /** New text arrived that stands for this many tokens since the last. */
    protected final void tokens(int newTokens, long nanos) {
        if (!anyText) {
            anyText = true;
            ttftSeconds = seconds(nanos - startNanos);
        } else if (newTokens <= 0) {
            return;
        } else {
            itls.add(seconds(nanos - lastTokenNanos) / newTokens, newTokens);
        }
        lastTokenNanos = nanos;
    }

    /** The answer ended by itself. */
    protected final void finish() {
        finished = true;
    }

    /** The request is lost; the first reason stays. */
    final void fail(String why) {
        if (error == null) {
            error = why;
        }
    }

    /** An error object, in any of the dialect's forms. */
    protected final void failFrom(JsonNode frame) {
        JsonNode inner = frame.get("error");
        JsonNode message = inner != null && inner.isObject() ? inner.get("message") : frame.get("message");
        fail("error frame: " + (message != null && message.isString() ? message.asString() : frame.toString()));
    }

    final boolean finished() {
        return finished;
    }

    final RequestOutcome outcome() {
        if (error == null && !finished) {
            error = anyLine ? "the stream ended without a finish reason" : "the answer was empty";
        }
        boolean success = error == null;
        return new RequestOutcome(
                index,
                success,
                promptTokens,
                success ? outputTokens : 0,
                startNanos,
                ttftSeconds,
                anyLine ? seconds(lastLineNanos - startNanos) : 0,
                itls.toArray(),
                text(),
                error == null ? "" : error);
    }

    static double seconds(long nanos) {
        return nanos / 1e9;
    }
}
