package dev.baton.serve.openai.tool;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a model family writes tool calls.
 *
 * <p>A call is {@link #opening}, then either an object with the function's name and its arguments under {@link #argumentsKey}, or
 * the name up to {@link #nameEnd} and the arguments as an object, then {@link #closing}. {@link #noise} stands around calls and
 * says nothing.
 */
public enum ToolCallFormat {
    /** Qwen 2.5 and 3, and others that follow Hermes: {@code <tool_call>} around an object. */
    QWEN(List.of("<tool_call>"), "</tool_call>", "arguments", null, List.of(), ""),
    /** Llama 3.1 and later: an object at the beginning of the answer or behind a tag, several divided by semicolons. */
    LLAMA3(List.of("<|python_tag|>", ""), "", "parameters", null, List.of(), ";"),
    /** DeepSeek V3 and R1: marks of its own, the arguments in a fenced block. */
    DEEPSEEKV3(
            List.of("<｜tool▁call▁begin｜>"),
            "\n```<｜tool▁call▁end｜>",
            null,
            "\n```json\n",
            List.of("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
            ""),
    /** A JSON array of objects: what a grammar asks of a model for which no parser was named. */
    JSON_ARRAY(List.of(""), "", "parameters", null, List.of(), "[,]");

    private static final Map<String, ToolCallFormat> BY_NAME =
            Map.of("qwen", QWEN, "qwen25", QWEN, "hermes", QWEN, "llama3", LLAMA3, "deepseekv3", DEEPSEEKV3);

    private final List<String> openings;
    private final String closing;
    private final @Nullable String argumentsKey;
    private final @Nullable String nameEnd;
    private final List<String> noise;
    private final String dividers;

    ToolCallFormat(
            List<String> openings,
            String closing,
            @Nullable String argumentsKey,
            @Nullable String nameEnd,
            List<String> noise,
            String dividers) {
        this.openings = openings;
        this.closing = closing;
        this.argumentsKey = argumentsKey;
        this.nameEnd = nameEnd;
        this.noise = noise;
        this.dividers = dividers;
    }

    /** The format of {@code --tool-call-parser}; null for an unknown name. */
    public static @Nullable ToolCallFormat of(String name) {
        return BY_NAME.get(name);
    }

    /** Names that {@link #of} knows. */
    public static List<String> names() {
        return BY_NAME.keySet().stream().sorted().toList();
    }

    /** What may stand before a call; an empty one only at the answer's beginning or after another call. */
    List<String> openings() {
        return openings;
    }

    /** What follows a call; may be missing when the answer ends. */
    String closing() {
        return closing;
    }

    /** Key of the arguments beside {@code name}; null where the name stands outside of the object. */
    @Nullable
    String argumentsKey() {
        return argumentsKey;
    }

    /** What stands between a name and its arguments; null where the name is in the object. */
    @Nullable
    String nameEnd() {
        return nameEnd;
    }

    /** Marks that say nothing. */
    List<String> noise() {
        return noise;
    }

    /** Characters that may stand between calls, white space aside. */
    String dividers() {
        return dividers;
    }

    /** What stands before the name of a function in a call that a grammar writes. */
    String grammarBegin(String function) {
        return switch (this) {
            case QWEN -> "<tool_call>\n{\"name\": " + function + ", \"arguments\": ";
            case LLAMA3, JSON_ARRAY -> "{\"name\": " + function + ", \"parameters\": ";
            case DEEPSEEKV3 -> "<｜tool▁call▁begin｜>function<｜tool▁sep｜>" + function + "\n```json\n";
        };
    }

    /** What follows the arguments there. */
    String grammarEnd() {
        return switch (this) {
            case QWEN -> "}\n</tool_call>";
            case LLAMA3, JSON_ARRAY -> "}";
            case DEEPSEEKV3 -> "\n```<｜tool▁call▁end｜>";
        };
    }

    String grammarSeparator() {
        return switch (this) {
            case QWEN, DEEPSEEKV3 -> "\n";
            case LLAMA3 -> "; ";
            case JSON_ARRAY -> ", ";
        };
    }

    /** What stands before the first call. */
    String grammarPrefix() {
        return switch (this) {
            case QWEN, LLAMA3 -> "";
            case DEEPSEEKV3 -> "<｜tool▁calls▁begin｜>";
            case JSON_ARRAY -> "[";
        };
    }

    /** What follows the last call. */
    String grammarSuffix() {
        return switch (this) {
            case QWEN, LLAMA3 -> "";
            case DEEPSEEKV3 -> "<｜tool▁calls▁end｜>";
            case JSON_ARRAY -> "]";
        };
    }
}
