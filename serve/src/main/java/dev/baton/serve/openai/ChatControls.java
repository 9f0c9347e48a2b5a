package dev.baton.serve.openai;

import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.request.ChatRequest;
import dev.baton.protocol.request.ToolUse;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.ServeException;
import dev.baton.serve.openai.tool.ToolCallFormat;
import dev.baton.serve.openai.tool.ToolCallParser;
import dev.baton.serve.openai.tool.ToolGrammar;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What one chat body asks beyond text: which parsers read the answer, and what grammar it must match. */
final class ChatControls {
    private static final String THINK = "<think>";
    private static final String THOUGHT = "</think>";

    private final ChatRequest body;
    private final @Nullable ToolUse tools;
    private final @Nullable ToolCallFormat format;
    private final @Nullable String reasoningParser;

    ChatControls(ChatRequest body, ServeConfig config) {
        this.body = body;
        ToolUse asked = body.tools();
        this.tools = asked == null || asked.choice() == ToolUse.Choice.NONE ? null : asked;
        this.reasoningParser = config.reasoningParser();
        String parser = config.toolCallParser();
        ToolCallFormat named = parser == null ? null : ToolCallFormat.of(parser);
        // Without a parser a model may call as it likes, in its text; one that must call does so in plain JSON.
        this.format = tools == null ? null : named != null || !mustCall() ? named : ToolCallFormat.JSON_ARRAY;
    }

    private boolean mustCall() {
        return tools != null && (tools.choice() == ToolUse.Choice.REQUIRED || tools.choice() == ToolUse.Choice.NAMED);
    }

    /** The variables of the chat template. */
    Map<String, Object> templateArguments() {
        if (tools == null) {
            return body.templateArguments();
        }
        Map<String, Object> all = new LinkedHashMap<>(body.templateArguments());
        all.put("tools", tools.tools());
        return all;
    }

    /**
     * Whether the answer begins within the reasoning: the prompt opened it, or the model is one that never writes the opening
     * mark and the prompt did not close it.
     */
    private boolean begun(String prompt) {
        String end = prompt.stripTrailing();
        return end.endsWith(THINK) || "deepseek-r1".equals(reasoningParser) && !end.endsWith(THOUGHT);
    }

    /** Makes what divides one choice's text; null when it is plain text. */
    @Nullable
    Supplier<ChatParts> parts(String prompt) {
        ChatParts.Reasoning reasoning = reasoningParser == null || !body.separateReasoning()
                ? null
                : new ChatParts.Reasoning(begun(prompt), body.streamReasoning());
        ToolUse asked = tools;
        ToolCallFormat calls = format;
        if (reasoning == null && calls == null) {
            return null;
        }
        boolean streamed = body.options().stream();
        return () -> new ChatParts(
                streamed,
                reasoning,
                calls == null || asked == null
                        ? null
                        : new ToolCallParser(calls, asked.parameters().keySet()));
    }

    /** The body's parameters with the grammar that its tools need; reasoning before the answer stays free. */
    SamplingParams sampling(String prompt) {
        SamplingParams sampling = body.options().sampling();
        GrammarSpec grammar = sampling.grammar();
        if (format != null) {
            // The marks of calls may be special tokens.
            sampling = sampling.toBuilder().skipSpecialTokens(false).build();
        }
        if (mustCall() && tools != null && format != null) {
            if (grammar != null) {
                throw new ServeException(
                        ServeException.Code.BAD_REQUEST,
                        "tool_choice " + tools.choice().name().toLowerCase(java.util.Locale.ROOT)
                                + " and a grammar (response_format, regex, ebnf) cannot both hold; leave one out.");
            }
            grammar = ToolGrammar.of(format, tools);
        }
        if (grammar != null
                && reasoningParser != null
                && !prompt.stripTrailing().endsWith(THOUGHT)) {
            grammar = ToolGrammar.afterReasoning(grammar, begun(prompt));
        }
        return grammar == sampling.grammar()
                ? sampling
                : sampling.toBuilder().grammar(grammar).build();
    }
}
