package dev.baton.protocol.reply;

import dev.baton.protocol.FinishReason;
import org.jspecify.annotations.Nullable;

/** The forms in which replies tell why a request ended. */
public final class FinishJson {
    private FinishJson() {}

    /** {@code meta_info.finish_reason}: an object, or null while it goes on. */
    public static void write(JsonBytes out, @Nullable FinishReason finish) {
        switch (finish) {
            case null -> out.nullValue();
            case FinishReason.StopToken(int id) ->
                out.raw("{\"type\":\"stop\",\"matched\":").number(id).raw('}');
            case FinishReason.StopString(String text) ->
                out.raw("{\"type\":\"stop\",\"matched\":").string(text).raw('}');
            case FinishReason.Length(int length) ->
                out.raw("{\"type\":\"length\",\"length\":").number(length).raw('}');
            case FinishReason.Abort abort -> {
                out.raw("{\"type\":\"abort\",\"message\":")
                        .string(abort.message())
                        .raw(",\"status_code\":");
                if (abort.statusCode() > 0) {
                    out.number(abort.statusCode());
                } else {
                    out.nullValue();
                }
                out.raw(",\"err_type\":").string(abort.errorType()).raw('}');
            }
        }
    }

    /** As {@link #writeOpenAi(JsonBytes, FinishReason)}; an answer that called tools and came to its end says so. */
    static void writeOpenAi(JsonBytes out, FinishReason finish, boolean calledTools) {
        boolean stopped = finish instanceof FinishReason.StopToken || finish instanceof FinishReason.StopString;
        if (calledTools && stopped) {
            out.raw("\"finish_reason\":\"tool_calls\",\"matched_stop\":null");
        } else {
            writeOpenAi(out, finish);
        }
    }

    /** {@code finish_reason} and {@code matched_stop} of an OpenAI choice, with their keys. */
    public static void writeOpenAi(JsonBytes out, @Nullable FinishReason finish) {
        out.raw("\"finish_reason\":");
        if (finish == null) {
            out.raw("null,\"matched_stop\":null");
            return;
        }
        out.string(finish.type()).raw(",\"matched_stop\":");
        switch (finish) {
            case FinishReason.StopToken(int id) -> out.number(id);
            case FinishReason.StopString(String text) -> out.string(text);
            case FinishReason.Length length -> out.nullValue();
            case FinishReason.Abort abort -> out.nullValue();
        }
    }
}
