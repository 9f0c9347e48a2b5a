package dev.baton.protocol.reply;

import dev.baton.protocol.FinishReason;
import org.jspecify.annotations.Nullable;

/** The chunks of a streamed chat reply and the whole reply, around text that is already escaped. */
public final class ChatChunks {
    private static final String AFTER_CONTENT = "\",\"reasoning_content\":null,\"tool_calls\":null},\"logprobs\":";

    private final byte[] head;
    private final String id;
    private final long created;
    private final String model;

    /**
     * @param id request id
     * @param created epoch seconds
     */
    public ChatChunks(String id, long created, String model) {
        this.id = id;
        this.created = created;
        this.model = model;
        JsonBytes out = new JsonBytes(160);
        common(out, "chat.completion.chunk");
        head = out.raw("[").toByteArray();
    }

    private void common(JsonBytes out, String object) {
        out.raw("{\"id\":").string(id).raw(",\"object\":\"").raw(object);
        out.raw("\",\"created\":").number(created).raw(",\"model\":").string(model);
        out.raw(",\"choices\":");
    }

    /** The first chunk of a choice: it names the role. */
    public void role(JsonBytes out, int index, @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":\"assistant\",\"content\":\"")
                .raw(AFTER_CONTENT)
                .raw("null,");
        end(out, null, usage);
    }

    /** New text. */
    public void text(
            JsonBytes out, int index, JsonBytes escaped, @Nullable ChatLogprobs logprobs, @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":null,\"content\":\"").raw(escaped.array(), 0, escaped.length());
        out.raw(AFTER_CONTENT);
        logprobs(out, logprobs);
        end(out, null, usage);
    }

    /** The last chunk of a choice. */
    public void finish(JsonBytes out, int index, FinishReason reason, @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":null,\"content\":null,\"reasoning_content\":null,\"tool_calls\":null},");
        out.raw("\"logprobs\":null,");
        end(out, reason, usage);
    }

    /** The chunk without choices that ends a stream with {@code include_usage}. */
    public void usage(JsonBytes out, Usage usage) {
        out.raw(head).raw("],\"usage\":");
        usage.write(out);
        out.raw('}');
    }

    private static void end(JsonBytes out, @Nullable FinishReason reason, @Nullable Usage usage) {
        FinishJson.writeOpenAi(out, reason);
        out.raw("}],\"usage\":");
        if (usage == null) {
            out.nullValue();
        } else {
            usage.write(out);
        }
        out.raw('}');
    }

    private static void logprobs(JsonBytes out, @Nullable ChatLogprobs logprobs) {
        if (logprobs == null) {
            out.nullValue();
        } else {
            logprobs.writeAndClear(out);
        }
        out.raw(',');
    }

    /** The head of a whole reply, up to and with the bracket that opens the choices. */
    public void beginWhole(JsonBytes out) {
        common(out, "chat.completion");
        out.raw('[');
    }

    public void wholeChoice(
            JsonBytes out, int index, JsonBytes escaped, @Nullable ChatLogprobs logprobs, FinishReason reason) {
        if (index > 0) {
            out.raw(',');
        }
        out.raw("{\"index\":").number(index).raw(",\"message\":{\"role\":\"assistant\",\"content\":\"");
        out.raw(escaped.array(), 0, escaped.length()).raw(AFTER_CONTENT);
        logprobs(out, logprobs);
        FinishJson.writeOpenAi(out, reason);
        out.raw('}');
    }

    public void endWhole(JsonBytes out, Usage usage, String weightVersion) {
        out.raw("],\"usage\":");
        usage.write(out);
        out.raw(",\"metadata\":{\"weight_version\":").string(weightVersion).raw("}}");
    }
}
