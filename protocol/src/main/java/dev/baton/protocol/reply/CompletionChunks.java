package dev.baton.protocol.reply;

import dev.baton.protocol.FinishReason;
import org.jspecify.annotations.Nullable;

/** The chunks of a streamed completion and the whole reply, around text that is already escaped. */
public final class CompletionChunks {
    private final byte[] head;

    /**
     * @param id request id
     * @param created epoch seconds
     */
    public CompletionChunks(String id, long created, String model) {
        head = new JsonBytes(160)
                .raw("{\"id\":")
                .string(id)
                .raw(",\"object\":\"text_completion\",\"created\":")
                .number(created)
                .raw(",\"model\":")
                .string(model)
                .raw(",\"choices\":[")
                .toByteArray();
    }

    /** New text; the last chunk of a choice carries the reason. */
    public void text(
            JsonBytes out,
            int index,
            JsonBytes escaped,
            @Nullable CompletionLogprobs logprobs,
            @Nullable FinishReason reason,
            @Nullable Usage usage) {
        out.raw(head);
        choice(out, index, escaped, logprobs, reason);
        out.raw("],\"usage\":");
        if (usage == null) {
            out.nullValue();
        } else {
            usage.write(out);
        }
        out.raw('}');
    }

    /** The chunk without choices that ends a stream with {@code include_usage}. */
    public void usage(JsonBytes out, Usage usage) {
        out.raw(head).raw("],\"usage\":");
        usage.write(out);
        out.raw('}');
    }

    /** The head of a whole reply, up to and with the bracket that opens the choices. */
    public void beginWhole(JsonBytes out) {
        out.raw(head);
    }

    public void wholeChoice(
            JsonBytes out, int index, JsonBytes escaped, @Nullable CompletionLogprobs logprobs, FinishReason reason) {
        if (index > 0) {
            out.raw(',');
        }
        choice(out, index, escaped, logprobs, reason);
    }

    private static void choice(
            JsonBytes out,
            int index,
            JsonBytes escaped,
            @Nullable CompletionLogprobs logprobs,
            @Nullable FinishReason reason) {
        out.raw("{\"index\":").number(index).raw(",\"text\":\"");
        out.raw(escaped.array(), 0, escaped.length()).raw("\",\"logprobs\":");
        if (logprobs == null) {
            out.nullValue();
        } else {
            logprobs.writeAndClear(out);
        }
        out.raw(',');
        FinishJson.writeOpenAi(out, reason);
        out.raw('}');
    }

    public void endWhole(JsonBytes out, Usage usage, String weightVersion) {
        out.raw("],\"usage\":");
        usage.write(out);
        out.raw(",\"metadata\":{\"weight_version\":").string(weightVersion).raw("}}");
    }
}
