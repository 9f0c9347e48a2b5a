package dev.baton;

import dev.baton.engine.EngineException;
import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The pieces of one answer, each whole characters, in order. For one thread. The engine never waits for the reader: what
 * is not yet read is kept, at most an answer's length.
 */
public final class TextStream implements Iterator<String>, Iterable<String>, AutoCloseable {
    /** A model that makes no token for so long has failed. */
    private static final Duration STALL = Duration.ofMinutes(10);

    /** One entry a step of the request, so never more than its tokens and the end. */
    private final LinkedBlockingQueue<RequestOutput> outputs = new LinkedBlockingQueue<>();

    private final Runnable abort;
    private @Nullable String next;
    private @Nullable RequestOutput last;

    TextStream(Runnable abort) {
        this.abort = abort;
    }

    /** On the scheduler's thread. */
    void accept(RequestOutput output) {
        outputs.add(output);
    }

    /**
     * Waits for the next piece.
     *
     * @throws EngineException UNAVAILABLE when the request was aborted or failed
     */
    @Override
    public boolean hasNext() {
        while (next == null && last == null) {
            RequestOutput output = take();
            if (output.isLast()) {
                last = output;
                if (output.finish() instanceof FinishReason.Abort fault) {
                    throw new EngineException(EngineException.Code.UNAVAILABLE, fault.message());
                }
            }
            if (!output.newText().isEmpty()) {
                next = output.newText();
            }
        }
        return next != null;
    }

    @Override
    public String next() {
        if (!hasNext() || next == null) {
            throw new NoSuchElementException("the answer has ended");
        }
        String piece = next;
        next = null;
        return piece;
    }

    /** This stream itself: it can be read once. */
    @Override
    public Iterator<String> iterator() {
        return this;
    }

    /** Reads to the end; the text is what had not been read. */
    public Completion completion() {
        StringBuilder text = new StringBuilder();
        forEachRemaining(text::append);
        RequestOutput end = last;
        if (end == null || end.finish() == null) {
            throw new IllegalStateException("an answer ended without its end");
        }
        return new Completion(
                text.toString(), end.promptTokens(), end.cachedTokens(), end.completionTokens(), end.finish());
    }

    private RequestOutput take() {
        try {
            RequestOutput output = outputs.poll(STALL.toSeconds(), TimeUnit.SECONDS);
            if (output == null) {
                throw new EngineException(
                        EngineException.Code.UNAVAILABLE, "no token for " + STALL.toMinutes() + " minutes");
            }
            return output;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            close();
            throw new EngineException(EngineException.Code.UNAVAILABLE, "interrupted while waiting for a token", e);
        }
    }

    /** Ends the request if it has not ended. */
    @Override
    public void close() {
        if (last == null) {
            abort.run();
        }
    }
}
