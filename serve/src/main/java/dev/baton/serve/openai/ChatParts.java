package dev.baton.serve.openai;

import dev.baton.protocol.FinishReason;
import dev.baton.protocol.reply.ChatChunks;
import dev.baton.protocol.reply.ChatLogprobs;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.reply.Usage;
import dev.baton.serve.generate.Reply;
import dev.baton.serve.openai.reasoning.ReasoningParser;
import dev.baton.serve.openai.tool.ToolCallParser;
import dev.baton.serve.openai.tool.ToolEvents;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/** The parts of one chat answer as its text arrives: reasoning, content, tool calls. */
final class ChatParts implements ToolEvents {
    /** What {@code --reasoning-parser} and the body ask. */
    record Reasoning(boolean begun, boolean streamed) {}

    /** Something that no frame has told yet. */
    private sealed interface Delta {
        record Thought(StringBuilder text) implements Delta {}

        record Content(StringBuilder text) implements Delta {}

        record Begin(int call) implements Delta {}

        record Arguments(int call, StringBuilder json) implements Delta {}
    }

    private static final class Call {
        final String id = "call_" + Long.toHexString(ThreadLocalRandom.current().nextLong() | Long.MIN_VALUE);
        final String function;
        final StringBuilder arguments = new StringBuilder();

        @Nullable
        String raw;

        Call(String function) {
            this.function = function;
        }
    }

    private final boolean streamed;
    private final @Nullable ReasoningParser reasoning;
    private final @Nullable ToolCallParser tools;
    private final List<Delta> untold = new ArrayList<>();
    private final List<Call> calls = new ArrayList<>();
    // For a reply that is not streamed.
    private final StringBuilder content = new StringBuilder();
    private final StringBuilder thoughts = new StringBuilder();

    /**
     * @param reasoning null leaves reasoning in the content
     * @param tools null leaves calls in the content
     */
    ChatParts(boolean streamed, @Nullable Reasoning reasoning, @Nullable ToolCallParser tools) {
        this.streamed = streamed;
        this.tools = tools;
        this.reasoning = reasoning == null
                ? null
                : new ReasoningParser(reasoning.begun, reasoning.streamed, this::thought, this::answer);
    }

    void push(String text) {
        if (reasoning != null) {
            reasoning.push(text);
        } else {
            answer(text);
        }
    }

    void end() {
        if (reasoning != null) {
            reasoning.end();
        }
        if (tools != null) {
            tools.end(this);
        }
    }

    boolean calledTools() {
        return calls.stream().anyMatch(call -> call.raw == null);
    }

    private void answer(String text) {
        if (tools != null) {
            tools.push(text, this);
        } else {
            text(text);
        }
    }

    private void thought(String text) {
        if (!streamed) {
            thoughts.append(text);
        } else if (!untold.isEmpty() && untold.getLast() instanceof Delta.Thought last) {
            last.text.append(text);
        } else {
            untold.add(new Delta.Thought(new StringBuilder(text)));
        }
    }

    @Override
    public void text(String text) {
        if (text.isEmpty()) {
            return;
        }
        if (!streamed) {
            content.append(text);
        } else if (!untold.isEmpty() && untold.getLast() instanceof Delta.Content last) {
            last.text.append(text);
        } else {
            untold.add(new Delta.Content(new StringBuilder(text)));
        }
    }

    @Override
    public void begin(int call, String function) {
        calls.add(new Call(function));
        if (streamed) {
            untold.add(new Delta.Begin(call));
        }
    }

    @Override
    public void arguments(int call, String json) {
        if (!streamed) {
            calls.get(call).arguments.append(json);
        } else if (!untold.isEmpty() && untold.getLast() instanceof Delta.Arguments last) {
            last.json.append(json);
        } else {
            untold.add(new Delta.Arguments(call, new StringBuilder(json)));
        }
    }

    @Override
    public void end(int call) {
        // Its arguments have been told.
    }

    /** A reply that is not streamed can still take the call back: its text becomes content. */
    @Override
    public void broken(int call, String raw) {
        if (!streamed) {
            calls.get(call).raw = raw;
            content.append(raw);
        }
    }

    /** Frames for what no frame has told; log probabilities go with the first of them. */
    void frames(JsonBytes out, ChatChunks chunks, int index, @Nullable ChatLogprobs logprobs, @Nullable Usage usage) {
        ChatLogprobs rest = logprobs;
        for (Delta delta : untold) {
            Reply.data(out);
            switch (delta) {
                case Delta.Thought(StringBuilder text) -> chunks.reasoning(out, index, text.toString(), rest, usage);
                case Delta.Content(StringBuilder text) ->
                    chunks.text(out, index, new JsonBytes(text.length() + 16).escaped(text), rest, usage);
                case Delta.Begin(int call) -> {
                    Call begun = calls.get(call);
                    chunks.toolCall(out, index, call, begun.id, begun.function, "", rest, usage);
                }
                case Delta.Arguments(int call, StringBuilder json) ->
                    chunks.toolCall(out, index, call, null, null, json.toString(), rest, usage);
            }
            Reply.end(out);
            rest = null;
        }
        untold.clear();
    }

    /** The choice of a reply that is not streamed. */
    void whole(JsonBytes out, ChatChunks chunks, int index, @Nullable ChatLogprobs logprobs, FinishReason reason) {
        List<ChatChunks.Call> told = calls.stream()
                .filter(call -> call.raw == null)
                .map(call -> new ChatChunks.Call(call.id, call.function, call.arguments.toString()))
                .toList();
        boolean nothing = content.isEmpty() && !told.isEmpty();
        chunks.wholeChoice(
                out,
                index,
                nothing ? null : content.toString(),
                thoughts.isEmpty() ? null : thoughts.toString(),
                told,
                logprobs,
                reason);
    }
}
