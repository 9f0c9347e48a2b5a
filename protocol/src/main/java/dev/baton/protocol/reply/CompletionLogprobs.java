package dev.baton.protocol.reply;

/**
 * {@code choices[].logprobs} of a completion: the columns {@code text_offset}, {@code token_logprobs}, {@code tokens}
 * and {@code top_logprobs}.
 */
public final class CompletionLogprobs {
    private final TokenTexts texts;
    private final JsonBytes offsets = new JsonBytes(64);
    private final JsonBytes logprobs = new JsonBytes(64);
    private final JsonBytes tokens = new JsonBytes(64);
    private final JsonBytes tops = new JsonBytes(64);
    private int textLength;

    public CompletionLogprobs(TokenTexts texts) {
        this.texts = texts;
    }

    public void add(LogprobPosition position) {
        String text = texts.text(position.tokenId());
        comma(offsets).number(textLength);
        textLength += text.length();
        comma(logprobs).number(position.logprob());
        comma(tokens).string(text);
        comma(tops);
        if (position.topIds().length == 0 || Float.isNaN(position.logprob())) {
            tops.nullValue();
            return;
        }
        tops.raw('{');
        for (int i = 0; i < position.topIds().length; i++) {
            tops.key(texts.text(position.topIds()[i])).number(position.topLogprobs()[i]);
        }
        tops.raw('}');
    }

    private static JsonBytes comma(JsonBytes out) {
        return out.length() > 0 ? out.raw(',') : out;
    }

    /** The object; what was added is forgotten, offsets go on. */
    public void writeAndClear(JsonBytes out) {
        column(out.raw('{'), "text_offset", offsets);
        column(out, "token_logprobs", logprobs);
        column(out, "tokens", tokens);
        column(out, "top_logprobs", tops);
        out.raw('}');
    }

    private static void column(JsonBytes out, String name, JsonBytes values) {
        out.key(name).raw('[').raw(values.array(), 0, values.length()).raw(']');
        values.clear();
    }
}
