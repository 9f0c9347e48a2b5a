package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.invalid;
import static dev.baton.protocol.request.JsonBody.isNull;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Bodies of the endpoints that divide a finished text. Each method throws ProtocolException INVALID_REQUEST naming the field. */
public final class ParseRequests {
    private ParseRequests() {}

    /**
     * {@code /parse_function_call}.
     *
     * @param functions names that a call may have
     * @param parser null for the server's own
     */
    public record FunctionCall(
            String text, Set<String> functions, @Nullable String parser) {}

    /**
     * {@code /separate_reasoning}.
     *
     * @param parser null for the server's own
     */
    public record Reasoning(String text, @Nullable String parser) {}

    /** {@code /parse_function_call}: {@code text}, {@code tools}, {@code tool_call_parser}. */
    public static FunctionCall functionCall(byte[] body) {
        var found = new Object() {
            @Nullable
            String text;

            @Nullable
            Object tools;

            @Nullable
            String parser;
        };
        JsonBody.object(body, false, (name, parser) -> {
            switch (name) {
                case "text" -> found.text = JsonBody.string(name, parser);
                case "tools" -> found.tools = JsonBody.any(parser);
                case "tool_call_parser" -> found.parser = isNull(parser) ? null : JsonBody.string(name, parser);
                default -> throw unknown(name, List.of("text", "tools", "tool_call_parser"));
            }
        });
        ToolUse tools = ToolUse.of(found.tools, null, true);
        return new FunctionCall(
                there(found.text), tools == null ? Set.of() : tools.parameters().keySet(), found.parser);
    }

    /** {@code /separate_reasoning}: {@code text}, {@code reasoning_parser}. */
    public static Reasoning reasoning(byte[] body) {
        var found = new Object() {
            @Nullable
            String text;

            @Nullable
            String parser;
        };
        JsonBody.object(body, false, (name, parser) -> {
            switch (name) {
                case "text" -> found.text = JsonBody.string(name, parser);
                case "reasoning_parser" -> found.parser = isNull(parser) ? null : JsonBody.string(name, parser);
                default -> throw unknown(name, List.of("text", "reasoning_parser"));
            }
        });
        return new Reasoning(there(found.text), found.parser);
    }

    private static String there(@Nullable String text) {
        if (text == null) {
            throw invalid("text is missing: give the answer that is to be divided.");
        }
        return text;
    }

    private static RuntimeException unknown(String name, List<String> known) {
        return invalid("Unknown field '" + name + "'." + JsonBody.meant(name, known));
    }
}
