package dev.baton.serve.openai.tool;

import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.request.ToolUse;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Grammars for answers that must call tools, and for those that begin with reasoning, as structural tags. */
public final class ToolGrammar {
    private static final JsonMapper JSON = new JsonMapper();

    private ToolGrammar() {}

    /** One or more calls as the format writes them; exactly one when a function is named or calls must not be parallel. */
    public static GrammarSpec of(ToolCallFormat format, ToolUse tools) {
        ObjectNode calls = JSON.createObjectNode().put("type", "tags_with_separator");
        calls.put("separator", format.grammarSeparator()).put("at_least_one", true);
        calls.put("stop_after_first", tools.function() != null || !tools.parallel());
        ArrayNode tags = calls.putArray("tags");
        for (Map.Entry<String, String> function : tools.parameters().entrySet()) {
            if (tools.function() != null && !tools.function().equals(function.getKey())) {
                continue;
            }
            String name = format.nameEnd() == null ? "\"" + function.getKey() + "\"" : function.getKey();
            ObjectNode tag = tags.addObject().put("type", "tag").put("begin", format.grammarBegin(name));
            tag.putObject("content").put("type", "json_schema").set("json_schema", JSON.readTree(function.getValue()));
            tag.put("end", format.grammarEnd());
        }
        ObjectNode all = JSON.createObjectNode().put("type", "sequence");
        ArrayNode elements = all.putArray("elements");
        elements.addObject().put("type", "const_string").put("value", format.grammarPrefix());
        elements.add(calls);
        elements.addObject().put("type", "const_string").put("value", format.grammarSuffix());
        return spec(all);
    }

    /**
     * Reasoning, then what the grammar says.
     *
     * @param begun the answer begins within the reasoning; otherwise it may open it, or have none
     */
    public static GrammarSpec afterReasoning(GrammarSpec grammar, boolean begun) {
        ObjectNode thought = JSON.createObjectNode().put("type", "sequence");
        ArrayNode elements = thought.putArray("elements");
        if (!begun) {
            elements.addObject().put("type", "const_string").put("value", "<think>");
        }
        elements.addObject().put("type", "any_text").putArray("excludes").add("</think>");
        elements.addObject().put("type", "const_string").put("value", "</think>");
        elements.addObject().put("type", "regex").put("pattern", "[\\n ]{0,4}");
        elements.add(part(grammar));
        if (begun) {
            return spec(thought);
        }
        ObjectNode either = JSON.createObjectNode().put("type", "or");
        either.putArray("elements").add(thought).add(part(grammar));
        return spec(either);
    }

    private static JsonNode part(GrammarSpec grammar) {
        ObjectNode node = JSON.createObjectNode();
        return switch (grammar.kind()) {
            case REGEX -> node.put("type", "regex").put("pattern", grammar.text());
            case EBNF -> node.put("type", "grammar").put("grammar", grammar.text());
            case JSON_SCHEMA -> {
                node.put("type", "json_schema");
                node.set("json_schema", JSON.readTree(grammar.text()));
                yield node;
            }
            case STRUCTURAL_TAG -> {
                JsonNode tag = JSON.readTree(grammar.text());
                yield tag.has("format") ? tag.path("format") : tag;
            }
        };
    }

    private static GrammarSpec spec(ObjectNode format) {
        ObjectNode tag = JSON.createObjectNode().put("type", "structural_tag");
        tag.set("format", format);
        return new GrammarSpec(GrammarSpec.Kind.STRUCTURAL_TAG, tag.toString());
    }
}
