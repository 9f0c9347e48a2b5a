package dev.baton.protocol.reply;

import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The log probability columns of {@code meta_info}, written as they come, so that a stream which repeats them in every
 * frame copies bytes and formats nothing twice.
 */
public final class NativeLogprobs {
    private final boolean top;
    private final boolean asked;
    private final @Nullable IntFunction<String> texts;
    private final Columns input = new Columns();
    private final Columns output = new Columns();
    private boolean inputWanted;

    private static final class Columns {
        final JsonBytes tokens = new JsonBytes(64);
        final JsonBytes tops = new JsonBytes(16);
        final JsonBytes asked = new JsonBytes(16);
    }

    /**
     * @param top alternatives were asked for
     * @param asked certain ids were asked for
     * @param texts text of a token for the third place of a triple; null leaves null there
     */
    public NativeLogprobs(boolean top, boolean asked, @Nullable IntFunction<String> texts) {
        this.top = top;
        this.asked = asked;
        this.texts = texts;
    }

    /** A prompt position, in order. */
    public void addInput(LogprobPosition position) {
        inputWanted = true;
        add(input, position);
    }

    /** A generated position, in order. */
    public void addOutput(LogprobPosition position) {
        add(output, position);
    }

    private void add(Columns columns, LogprobPosition position) {
        triple(columns.tokens, position.logprob(), position.tokenId());
        boolean none = Float.isNaN(position.logprob());
        if (top) {
            list(columns.tops, none, position.topIds(), position.topLogprobs());
        }
        if (asked) {
            list(columns.asked, none, position.askedIds(), position.askedLogprobs());
        }
    }

    private void list(JsonBytes out, boolean none, int[] ids, float[] logprobs) {
        comma(out);
        if (none) {
            out.nullValue();
            return;
        }
        out.raw('[');
        for (int i = 0; i < Math.min(ids.length, logprobs.length); i++) {
            triple(out, logprobs[i], ids[i]);
        }
        out.raw(']');
    }

    private void triple(JsonBytes out, float logprob, int id) {
        comma(out);
        out.raw('[').number(logprob).raw(',').number(id).raw(',');
        out.string(texts == null ? null : texts.apply(id)).raw(']');
    }

    private static void comma(JsonBytes out) {
        if (out.length() > 0 && out.array()[out.length() - 1] != '[') {
            out.raw(',');
        }
    }

    /** The fields, each with a comma before it. */
    public void write(JsonBytes out) {
        if (inputWanted) {
            column(out, "input_token_logprobs", input.tokens);
        } else {
            out.raw(",\"input_token_logprobs\":[]");
        }
        column(out, "output_token_logprobs", output.tokens);
        if (top) {
            column(out, "input_top_logprobs", input.tops);
            column(out, "output_top_logprobs", output.tops);
        }
        if (asked) {
            column(out, "input_token_ids_logprobs", input.asked);
            column(out, "output_token_ids_logprobs", output.asked);
        }
    }

    private static void column(JsonBytes out, String name, JsonBytes values) {
        out.key(name).raw('[').raw(values.array(), 0, values.length()).raw(']');
    }
}
