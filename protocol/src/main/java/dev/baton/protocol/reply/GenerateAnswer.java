package dev.baton.protocol.reply;

import dev.baton.protocol.FinishReason;
import org.jspecify.annotations.Nullable;

/**
 * One answer of {@code /generate} as it grows. Text and ids are kept as the JSON bytes that every frame repeats
 * (both are cumulative there), so a frame is a few copies.
 */
public final class GenerateAnswer {
    private final String rid;
    private final byte[] metaHead;
    private final byte[] metaMiddle;
    private final boolean withText;
    private final JsonBytes text;
    private final JsonBytes ids;
    private final @Nullable NativeLogprobs logprobs;
    private int promptTokens;
    private int cachedTokens;
    private int completionTokens;
    private int retractions;
    private @Nullable FinishReason finish;
    private JsonBytes extra = new JsonBytes(16);

    /**
     * @param rid {@code meta_info.id}
     * @param weightVersion {@code meta_info.weight_version}
     * @param withText false on a server without a tokenizer: no {@code text} key
     * @param logprobs null when not asked for
     */
    public GenerateAnswer(String rid, String weightVersion, boolean withText, @Nullable NativeLogprobs logprobs) {
        this.rid = rid;
        this.withText = withText;
        this.logprobs = logprobs;
        text = new JsonBytes(64);
        ids = new JsonBytes(64);
        metaHead = new JsonBytes(96)
                .raw("],\"meta_info\":{\"id\":")
                .string(rid)
                .raw(",\"finish_reason\":")
                .toByteArray();
        metaMiddle = new JsonBytes(64)
                .raw(",\"weight_version\":")
                .string(weightVersion)
                .raw(",\"total_retractions\":")
                .toByteArray();
    }

    public String rid() {
        return rid;
    }

    public @Nullable FinishReason finish() {
        return finish;
    }

    public int promptTokens() {
        return promptTokens;
    }

    public int completionTokens() {
        return completionTokens;
    }

    /** What one step added. */
    public void add(int[] newIds, String newText) {
        text.escaped(newText);
        if (newIds.length > 0) {
            if (ids.length() > 0) {
                ids.raw(',');
            }
            ids.idList(newIds, newIds.length);
        }
    }

    public @Nullable NativeLogprobs logprobs() {
        return logprobs;
    }

    /** The counters as of the last step. */
    public void counts(int prompt, int cached, int completion, int retracted, @Nullable FinishReason reason) {
        promptTokens = prompt;
        cachedTokens = cached;
        completionTokens = completion;
        retractions = retracted;
        finish = reason;
    }

    /** A number that the last frame's {@code meta_info} holds beside the rest: a time in seconds, a rate. */
    public void meta(String name, double value) {
        extra.raw(',').string(name).raw(':').number(value);
    }

    /**
     * The object as it stands.
     *
     * @param index item number in a stream of a batch; -1 for none
     */
    public void write(JsonBytes out, int index) {
        out.raw('{');
        if (withText) {
            out.raw("\"text\":\"").raw(text.array(), 0, text.length()).raw("\",");
        }
        out.raw("\"output_ids\":[").raw(ids.array(), 0, ids.length());
        out.raw(metaHead);
        FinishJson.write(out, finish);
        out.raw(",\"prompt_tokens\":").number(promptTokens);
        out.raw(metaMiddle).number(retractions);
        if (logprobs != null) {
            logprobs.write(out);
        }
        out.raw(",\"completion_tokens\":").number(completionTokens);
        out.raw(",\"cached_tokens\":").number(cachedTokens);
        out.raw(extra.array(), 0, extra.length());
        out.raw('}');
        if (index >= 0) {
            out.raw(",\"index\":").number(index);
        }
        out.raw('}');
    }
}
