package dev.baton.model.template;

import dev.baton.model.ModelException;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A model's chat template, parsed once. Rendering is what Python's jinja2 gives in transformers' settings. Safe for use
 * by several threads.
 */
public final class ChatTemplate {
    private final String name;
    private final String source;
    private final TemplateParser.Parsed parsed;
    private final Clock clock;

    private ChatTemplate(String name, String source, TemplateParser.Parsed parsed, Clock clock) {
        this.name = name;
        this.source = source;
        this.parsed = parsed;
        this.clock = clock;
    }

    /**
     * Parses a template.
     *
     * @param name for errors, such as a file's
     * @throws ModelException TEMPLATE, quoting the line
     */
    public static ChatTemplate of(String source, String name) {
        try {
            return new ChatTemplate(name, source, TemplateParser.parse(source), Clock.systemDefaultZone());
        } catch (TemplateFault e) {
            throw failure(e, name, source);
        } catch (StackOverflowError e) {
            throw failure(new TemplateFault("RecursionError", "expressions are nested too deeply"), name, source);
        }
    }

    /** The same template with another clock for {@code strftime_now}. */
    public ChatTemplate withClock(Clock other) {
        return new ChatTemplate(name, source, parsed, other);
    }

    /** The template's text. */
    public String source() {
        return source;
    }

    /**
     * The prompt of a conversation.
     *
     * @param messages role, content and whatever else the template reads; content may be a string or a list of parts
     * @param tools functions as OpenAI's API describes them, null when there are none
     * @param addGenerationPrompt end with the opening of the assistant's turn
     * @param variables further variables (bos_token, eos_token, enable_thinking and the like); they may be null
     * @throws ModelException TEMPLATE when the template fails or refuses the conversation, quoting the line
     */
    public String render(
            List<?> messages, @Nullable List<?> tools, boolean addGenerationPrompt, Map<String, ?> variables) {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        all.put("tools", tools);
        all.put("documents", null);
        all.putAll(variables);
        all.put("messages", messages);
        all.put("add_generation_prompt", addGenerationPrompt);
        return render(all);
    }

    /** Renders with exactly {@code variables}; the others are undefined. */
    public String render(Map<String, ?> variables) {
        Map<String, @Nullable Object> inputs = new LinkedHashMap<>();
        variables.forEach((key, value) -> inputs.put(key, TemplateInputs.of(value)));
        try {
            return new Interpreter(new Globals(clock), parsed.blocks()).render(parsed.body(), inputs);
        } catch (TemplateFault e) {
            throw failure(e, name, source);
        } catch (StackOverflowError e) {
            throw failure(new TemplateFault("RecursionError", "maximum recursion depth exceeded"), name, source);
        }
    }

    private static ModelException failure(TemplateFault fault, String name, String source) {
        StringBuilder message = new StringBuilder("chat template ").append(name);
        if (fault.line() > 0) {
            message.append(", line ").append(fault.line());
        }
        message.append(": ").append(fault.kind()).append(": ").append(fault.getMessage());
        List<String> lines = source.lines().toList();
        if (fault.line() > 0 && fault.line() <= lines.size()) {
            String line = lines.get(fault.line() - 1).strip();
            message.append("\n  ").append(line.length() > 300 ? line.substring(0, 300) + "..." : line);
        }
        return new ModelException(ModelException.Code.TEMPLATE, message.toString(), fault);
    }
}
