package dev.baton.serve.generate;

import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.http.ResponseStream;
import dev.baton.serve.http.StepDelivery;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The reply to one exchange, made of one answer for each engine request: streamed frame by frame, or sent whole when
 * the last answer is there. Everything but the constructor runs on the connection's loop.
 */
public abstract class Reply {
    private static final byte[] DATA = "data: ".getBytes(StandardCharsets.ISO_8859_1);
    private static final byte[] END = "\n\n".getBytes(StandardCharsets.ISO_8859_1);
    private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.ISO_8859_1);

    private final Exchange exchange;
    private final @Nullable ResponseStream stream;
    private final StepDelivery.Batch batch;
    private final int streamInterval;
    private final List<TokenStream> answers = new ArrayList<>();
    private int open;
    private volatile boolean refused;
    private FinishReason.@Nullable Abort failure;

    /**
     * @param streamed server-sent events instead of one object
     * @param streamInterval tokens a frame, at least 1
     */
    protected Reply(Exchange exchange, StepDelivery delivery, boolean streamed, int streamInterval) {
        this.exchange = exchange;
        this.batch = delivery.batch(exchange.eventLoop());
        this.streamInterval = streamInterval;
        stream = streamed ? exchange.stream(200, Exchange.EVENT_STREAM, Map.of()) : null;
        if (stream != null) {
            stream.onWritable(this::resume);
        }
    }

    /** Adds an answer; before the first request is submitted. */
    protected final void add(TokenStream answer) {
        answers.add(answer);
        open++;
    }

    public final List<TokenStream> answers() {
        return answers;
    }

    public final Exchange exchange() {
        return exchange;
    }

    public final boolean isStreamed() {
        return stream != null;
    }

    /** Begins a streamed reply: every request of it is with the engine. */
    public final void begin() {
        if (stream != null) {
            stream.begin();
        }
    }

    /** Any thread: the engine did not take all requests; what the taken ones still say is dropped. */
    final void refused() {
        refused = true;
    }

    StepDelivery.Batch batch() {
        return batch;
    }

    final int streamInterval() {
        return streamInterval;
    }

    final boolean writable() {
        return stream != null && stream.writable();
    }

    /** Writes the frames that an answer has for its client. */
    final void emit(TokenStream answer) {
        ResponseStream to = stream;
        if (to != null && !refused) {
            JsonBytes out = to.scratch();
            answer.frames(out);
            to.write(out.array(), 0, out.length());
            to.flushWithBatch();
        }
    }

    /** Begins a frame. */
    public static JsonBytes data(JsonBytes out) {
        return out.raw(DATA);
    }

    /** Ends a frame. */
    public static JsonBytes end(JsonBytes out) {
        return out.raw(END);
    }

    private void resume() {
        for (TokenStream answer : answers) {
            answer.resume();
        }
    }

    /** An answer is complete. */
    final void finished(TokenStream answer) {
        open--;
        if (refused) {
            return;
        }
        if (answer.finish() instanceof FinishReason.Abort abort && abort.statusCode() > 0) {
            if (stream == null && failure == null) {
                failure = abort;
                abortOthers();
            }
        }
        if (open == 0) {
            complete();
        }
    }

    private void abortOthers() {
        for (TokenStream answer : answers) {
            answer.abort();
        }
    }

    private void complete() {
        if (stream != null) {
            JsonBytes out = stream.scratch();
            lastFrames(out);
            out.raw(DONE);
            stream.write(out.array(), 0, out.length());
            stream.end();
        } else if (failure != null) {
            Failures.answer(exchange, failure);
        } else if (answers.stream().anyMatch(TokenStream::isCostly)) {
            Thread.ofVirtual().name("baton-reply").start(this::respondCostly);
        } else {
            respond();
        }
    }

    private void respond() {
        JsonBytes out = new JsonBytes(512);
        whole(out);
        exchange.respond(200, Exchange.JSON, out.array(), out.length(), Map.of());
    }

    private void respondCostly() {
        try {
            answers.forEach(TokenStream::absorbKept);
            respond();
        } catch (RuntimeException | OutOfMemoryError e) {
            new Failures().answer(exchange, e);
        }
    }

    /** What a stream says after its last answer and before {@code [DONE]}. */
    protected abstract void lastFrames(JsonBytes out);

    /** The body of a reply that is not streamed. */
    protected abstract void whole(JsonBytes out);
}
