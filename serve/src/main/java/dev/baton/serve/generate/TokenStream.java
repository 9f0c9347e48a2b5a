package dev.baton.serve.generate;

import dev.baton.engine.request.OutputSink;
import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.JsonBytes;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One answer on its way to a client. The scheduler's thread hands outputs to {@link #accept}, which only puts them into
 * the step's batch; {@link #push} formats them on the connection's loop. A client that does not keep up gets fewer
 * frames with more in each. Answers that are not streamed are gathered on the scheduler's thread, so that no loop wakes
 * before the end; where log probabilities make that costly, their outputs are only kept, and read by a thread of the
 * reply's own at the end.
 */
public abstract class TokenStream implements OutputSink {
    private final Reply reply;
    private final boolean streamed;
    private final @Nullable List<RequestOutput> kept;
    private final Consumer<RequestOutput> pusher = this::push;
    private @Nullable RequestTimes times;
    private @Nullable Runnable abort;
    private @Nullable FinishReason finish;
    private boolean held;
    private volatile boolean done;

    /**
     * @param costly reading an output takes more than a few microseconds (log probabilities)
     */
    protected TokenStream(Reply reply, boolean costly) {
        this.reply = reply;
        this.streamed = reply.isStreamed();
        this.kept = costly && !streamed ? new ArrayList<>() : null;
    }

    /** How to end the request at the engine, and where its times go; before it is submitted. */
    final void submitted(Runnable abortAction, @Nullable RequestTimes requestTimes) {
        abort = abortAction;
        times = requestTimes;
    }

    /** The scheduler's thread. */
    @Override
    public final void accept(RequestOutput output) {
        boolean last = output.isLast();
        if (times != null) {
            times.output(output);
        }
        if (streamed) {
            reply.batch().add(pusher, output);
        } else {
            if (kept == null) {
                absorb(output);
            } else {
                kept.add(output);
            }
            if (last) {
                reply.batch().add(pusher, output);
            }
        }
        if (last) {
            done = true;
            if (output.finish() instanceof FinishReason.Abort) {
                reply.batch().deliver();
            }
        }
    }

    private void push(RequestOutput output) {
        if (finish != null) {
            return;
        }
        if (streamed) {
            absorb(output);
        }
        FinishReason reason = output.finish();
        if (reason != null) {
            finish = reason;
            finished(reason, times);
            if (streamed) {
                reply.emit(this);
            }
            reply.finished(this);
        } else if (isDue(output)) {
            if (reply.writable()) {
                reply.emit(this);
            } else {
                held = true;
            }
        }
    }

    /** Whether outputs are kept until {@link #absorbKept}. */
    final boolean isCostly() {
        return kept != null;
    }

    /** After the last output: reads what was kept. */
    final void absorbKept() {
        if (kept != null) {
            kept.forEach(this::absorb);
            kept.clear();
        }
    }

    /** With interval k, frames go out after token 1, k + 1, 2k + 1 and so on. */
    private boolean isDue(RequestOutput output) {
        int interval = reply.streamInterval();
        return interval == 1 || output.completionTokens() % interval == 1;
    }

    /** The client reads again: what was held back goes out in one frame. */
    final void resume() {
        if (held && finish == null) {
            held = false;
            reply.emit(this);
        }
    }

    /** Any thread: ends the request unless it has ended. */
    public final void abort() {
        Runnable action = abort;
        if (!done && action != null) {
            action.run();
        }
    }

    /** Null while it goes on. */
    public final @Nullable FinishReason finish() {
        return finish;
    }

    /** Takes in what a step added: on the loop when streamed, else as the class says. */
    protected abstract void absorb(RequestOutput output);

    /** The answer is complete; {@code times} is null where nobody keeps them. */
    protected abstract void finished(FinishReason reason, @Nullable RequestTimes times);

    /** Writes the frames that are due now, each with its {@code data: } and blank line. */
    protected abstract void frames(JsonBytes out);
}
