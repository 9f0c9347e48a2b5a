package dev.baton.protocol.request;

import static dev.baton.protocol.request.JsonBody.invalid;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code tools}, {@code tool_choice} and {@code parallel_tool_calls} of a chat body.
 *
 * @param tools as the client wrote them, for the chat template
 * @param parameters JSON schema of each function's arguments, by name, in order
 * @param choice what the model must do
 * @param function the one function that it must call; null unless {@code choice} is NAMED
 * @param parallel more than one call is welcome
 */
public record ToolUse(
        List<Object> tools,
        Map<String, String> parameters,
        Choice choice,
        @Nullable String function,
        boolean parallel) {

    /** The kinds of {@code tool_choice}. */
    public enum Choice {
        AUTO,
        NONE,
        REQUIRED,
        NAMED
    }

    /**
     * @param tools null or empty when the body has none
     * @param choice null when the body does not say
     */
    static @Nullable ToolUse of(@Nullable Object tools, @Nullable Object choice, boolean parallel) {
        if (tools == null || tools instanceof List<?> none && none.isEmpty()) {
            if (choice != null && !"none".equals(choice) && !"auto".equals(choice)) {
                throw invalid("tool_choice needs tools.");
            }
            return null;
        }
        if (!(tools instanceof List<?> list)) {
            throw invalid("tools must be an array of functions.");
        }
        Map<String, String> parameters = new LinkedHashMap<>();
        for (int i = 0; i < list.size(); i++) {
            String at = "tools[" + i + "]";
            if (!(list.get(i) instanceof Map<?, ?> tool)
                    || tool.get("type") != null && !"function".equals(tool.get("type"))) {
                throw invalid(at + ".type must be \"function\".");
            }
            if (!(tool.get("function") instanceof Map<?, ?> function)
                    || !(function.get("name") instanceof String name)
                    || !name.matches("[A-Za-z0-9_.-]{1,128}")) {
                throw invalid(at + ".function.name must be 1 to 128 of letters, digits, '_', '-' and '.'.");
            }
            Object schema = function.get("parameters");
            if (schema != null && !(schema instanceof Map<?, ?>)) {
                throw invalid(at + ".function.parameters must be a JSON schema.");
            }
            if (parameters.put(name, schema == null ? "{\"type\":\"object\"}" : JsonBody.json(schema)) != null) {
                throw invalid(at + ".function.name '" + name + "' is there twice.");
            }
        }
        String named = named(choice);
        if (named != null && !parameters.containsKey(named)) {
            throw invalid("tool_choice names '" + named + "', which is none of the tools.");
        }
        return new ToolUse(new ArrayList<>(list), parameters, kind(choice, named), named, parallel);
    }

    private static @Nullable String named(@Nullable Object choice) {
        return choice instanceof Map<?, ?> map
                        && map.get("function") instanceof Map<?, ?> function
                        && function.get("name") instanceof String name
                ? name
                : null;
    }

    private static Choice kind(@Nullable Object choice, @Nullable String named) {
        if (named != null) {
            return Choice.NAMED;
        }
        return switch (choice) {
            case null -> Choice.AUTO;
            case String s when s.equals("auto") -> Choice.AUTO;
            case String s when s.equals("none") -> Choice.NONE;
            case String s when s.equals("required") -> Choice.REQUIRED;
            default ->
                throw invalid("tool_choice must be \"none\", \"auto\", \"required\" or"
                        + " {\"type\":\"function\",\"function\":{\"name\":...}}.");
        };
    }
}
