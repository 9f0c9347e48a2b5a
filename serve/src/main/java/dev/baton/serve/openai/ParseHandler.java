package dev.baton.serve.openai;

import dev.baton.protocol.reply.JsonBytes;
import dev.baton.protocol.request.ParseRequests;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.ServeException;
import dev.baton.serve.http.Exchange;
import dev.baton.serve.openai.reasoning.ReasoningParser;
import dev.baton.serve.openai.tool.ToolCallFormat;
import dev.baton.serve.openai.tool.ToolCallParser;
import dev.baton.serve.openai.tool.ToolEvents;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code /parse_function_call} and {@code /separate_reasoning}: what the parsers of chat answers make of a finished text. */
public final class ParseHandler {
    private static final List<String> REASONING = List.of("deepseek-r1", "qwen3");

    private final ServeConfig config;

    public ParseHandler(ServeConfig config) {
        this.config = config;
    }

    /** {@code {"normal_text":..,"calls":[{"tool_index":0,"name":..,"parameters":"{..}"}]}}. */
    public void functionCall(Exchange exchange) {
        ParseRequests.FunctionCall body = ParseRequests.functionCall(exchange.body());
        String name = named("tool_call_parser", body.parser(), config.toolCallParser(), ToolCallFormat.names());
        ToolCallFormat format = ToolCallFormat.of(name);
        if (format == null) {
            throw unknown("tool_call_parser", name, ToolCallFormat.names());
        }
        var found = new Found();
        ToolCallParser parser = new ToolCallParser(format, body.functions());
        parser.push(body.text(), found);
        parser.end(found);
        JsonBytes out = new JsonBytes(256).raw('{');
        out.key("normal_text").string(found.text);
        out.key("calls").raw('[');
        int index = 0;
        for (Call call : found.calls) {
            if (call.broken) {
                continue;
            }
            out.raw(index > 0 ? "," : "").raw('{');
            out.key("tool_index").number(index++);
            out.key("name").string(call.name);
            out.key("parameters").string(call.arguments);
            out.raw('}');
        }
        exchange.respond(200, Exchange.JSON, out.raw("]}").toByteArray());
    }

    /** {@code {"reasoning_text":..,"text":..}}. */
    public void reasoning(Exchange exchange) {
        ParseRequests.Reasoning body = ParseRequests.reasoning(exchange.body());
        String name = named("reasoning_parser", body.parser(), config.reasoningParser(), REASONING);
        if (!REASONING.contains(name)) {
            throw unknown("reasoning_parser", name, REASONING);
        }
        StringBuilder thoughts = new StringBuilder();
        StringBuilder answer = new StringBuilder();
        var parser = new ReasoningParser(name.equals("deepseek-r1"), false, thoughts::append, answer::append);
        parser.push(body.text());
        parser.end();
        JsonBytes out = new JsonBytes(256).raw('{');
        out.key("reasoning_text").string(thoughts);
        out.key("text").string(answer);
        exchange.respond(200, Exchange.JSON, out.raw('}').toByteArray());
    }

    private static String named(String field, @Nullable String asked, @Nullable String served, List<String> known) {
        if (asked != null) {
            return asked;
        }
        if (served != null) {
            return served;
        }
        throw new ServeException(
                ServeException.Code.BAD_REQUEST,
                field + " is missing and the server has no --" + field.replace('_', '-') + ": give one of "
                        + String.join(", ", known) + ".");
    }

    private static ServeException unknown(String field, String name, List<String> known) {
        return new ServeException(
                ServeException.Code.BAD_REQUEST,
                field + " is '" + name + "', must be one of " + String.join(", ", known) + ".");
    }

    private static final class Call {
        final String name;
        final StringBuilder arguments = new StringBuilder();
        boolean broken;

        Call(String name) {
            this.name = name;
        }
    }

    private static final class Found implements ToolEvents {
        final StringBuilder text = new StringBuilder();
        final List<Call> calls = new ArrayList<>();

        @Override
        public void text(String more) {
            text.append(more);
        }

        @Override
        public void begin(int call, String function) {
            calls.add(new Call(function));
        }

        @Override
        public void arguments(int call, String json) {
            calls.get(call).arguments.append(json);
        }

        @Override
        public void end(int call) {
            // Its arguments have been told.
        }

        @Override
        public void broken(int call, String raw) {
            calls.get(call).broken = true;
            text.append(raw);
        }
    }
}
