package dev.baton.protocol.reply;

import dev.baton.protocol.FinishReason;
import java.util.List;
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

    /** New reasoning. */
    public void reasoning(
            JsonBytes out, int index, String text, @Nullable ChatLogprobs logprobs, @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":null,\"content\":null,\"reasoning_content\":")
                .string(text);
        out.raw(",\"tool_calls\":null},\"logprobs\":");
        logprobs(out, logprobs);
        end(out, null, usage);
    }

    /**
     * A tool call begins, or more of its arguments.
     *
     * @param call counts the choice's calls from 0
     * @param function named where the call begins, with {@code id}; null for more arguments
     */
    public void toolCall(
            JsonBytes out,
            int index,
            int call,
            @Nullable String id,
            @Nullable String function,
            String arguments,
            @Nullable ChatLogprobs logprobs,
            @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":null,\"content\":null,\"reasoning_content\":null,\"tool_calls\":[{\"index\":")
                .number(call);
        if (function != null) {
            out.raw(",\"id\":").string(id).raw(",\"type\":\"function\"");
        }
        out.raw(",\"function\":{");
        if (function != null) {
            out.raw("\"name\":").string(function).raw(',');
        }
        out.raw("\"arguments\":").string(arguments).raw("}}]},\"logprobs\":");
        logprobs(out, logprobs);
        end(out, null, usage);
    }

    /** The last chunk of a choice. */
    public void finish(JsonBytes out, int index, FinishReason reason, boolean calledTools, @Nullable Usage usage) {
        out.raw(head).raw("{\"index\":").number(index);
        out.raw(",\"delta\":{\"role\":null,\"content\":null,\"reasoning_content\":null,\"tool_calls\":null},");
        out.raw("\"logprobs\":null,");
        FinishJson.writeOpenAi(out, reason, calledTools);
        tail(out, usage);
    }

    /** The chunk without choices that ends a stream with {@code include_usage}. */
    public void usage(JsonBytes out, Usage usage) {
        out.raw(head).raw("],\"usage\":");
        usage.write(out);
        out.raw('}');
    }

    private static void end(JsonBytes out, @Nullable FinishReason reason, @Nullable Usage usage) {
        FinishJson.writeOpenAi(out, reason);
        tail(out, usage);
    }

    private static void tail(JsonBytes out, @Nullable Usage usage) {
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

    /** One tool call of a whole reply. */
    public record Call(String id, String function, String arguments) {}

    /**
     * A choice of a whole reply that has more than text.
     *
     * @param content null when there is none
     * @param reasoning null when it is not told apart, or there is none
     * @param calls in order, none for null in the reply
     */
    public void wholeChoice(
            JsonBytes out,
            int index,
            @Nullable String content,
            @Nullable String reasoning,
            List<Call> calls,
            @Nullable ChatLogprobs logprobs,
            FinishReason reason) {
        if (index > 0) {
            out.raw(',');
        }
        out.raw("{\"index\":").number(index).raw(",\"message\":{\"role\":\"assistant\",\"content\":");
        out.string(content).raw(",\"reasoning_content\":").string(reasoning).raw(",\"tool_calls\":");
        if (calls.isEmpty()) {
            out.nullValue();
        } else {
            for (int i = 0; i < calls.size(); i++) {
                Call call = calls.get(i);
                out.raw(i == 0 ? "[" : ",")
                        .raw("{\"index\":")
                        .number(i)
                        .raw(",\"id\":")
                        .string(call.id);
                out.raw(",\"type\":\"function\",\"function\":{\"name\":").string(call.function);
                out.raw(",\"arguments\":").string(call.arguments).raw("}}");
            }
            out.raw(']');
        }
        out.raw("},\"logprobs\":");
        logprobs(out, logprobs);
        FinishJson.writeOpenAi(out, reason, !calls.isEmpty());
        out.raw('}');
    }

    public void endWhole(JsonBytes out, Usage usage, String weightVersion) {
        out.raw("],\"usage\":");
        usage.write(out);
        out.raw(",\"metadata\":{\"weight_version\":").string(weightVersion).raw("}}");
    }
}
