package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/**
 * Text with structured parts, as XGrammar's {@code structural_tag} describes it: {@code const_string}, {@code regex},
 * {@code json_schema}, {@code grammar}, {@code any_text} (with {@code excludes}), {@code sequence}, {@code or}, {@code tag},
 * {@code tags_with_separator} and {@code triggered_tags}; and the older form with {@code structures} and {@code triggers}.
 */
final class StructuralTag {
    private static final String FIELD = "structural_tag";

    private final Map<String, Expression> rules = new LinkedHashMap<>();
    private int parts;

    private StructuralTag() {}

    static Rules rules(String text) {
        JsonNode root = JsonText.read(text, FIELD);
        StructuralTag made = new StructuralTag();
        Expression all;
        if (root.has("structures")) {
            List<Expression> tags = new ArrayList<>();
            List<String> begins = new ArrayList<>();
            for (JsonNode tag : root.path("structures")) {
                begins.add(tag.path("begin").asString(""));
                tags.add(Expression.sequence(
                        Expression.literal(tag.path("begin").asString("")),
                        made.schema(tag.path("schema")),
                        Expression.literal(tag.path("end").asString(""))));
            }
            all = triggered(strings(root.path("triggers"), "triggers"), begins, tags, false, false);
        } else {
            all = made.format(root.has("format") ? root.path("format") : root);
        }
        made.rules.put("root", all);
        return new Rules(made.rules, "root");
    }

    private Expression format(JsonNode node) {
        String type = node.path("type").asString("");
        return switch (type) {
            case "const_string" -> Expression.literal(required(node, "value"));
            case "regex" -> RegexParser.whole(required(node, "pattern"), FIELD);
            case "json_schema" -> schema(node.path("json_schema"));
            case "grammar" -> include(new Rules(EbnfParser.parse(required(node, "grammar"), FIELD), "root"));
            case "any_text" -> {
                List<String> excludes = strings(node.path("excludes"), "excludes");
                yield excludes.isEmpty()
                        ? Expression.any(CodePoints.ALL)
                        : new Expression.Machine(CharNfa.without(excludes), false);
            }
            case "sequence" -> new Expression.Sequence(elements(node));
            case "or" -> new Expression.Choice(elements(node));
            case "tag" -> tag(node);
            case "tags_with_separator" -> {
                List<Expression> tags = new ArrayList<>();
                node.path("tags").forEach(tag -> tags.add(tag(tag)));
                Expression any = new Expression.Choice(tags);
                Expression more = Expression.sequence(Expression.literal(required(node, "separator")), any);
                boolean once = node.path("stop_after_first").asBoolean(false);
                Expression some =
                        once ? any : Expression.sequence(any, new Expression.Repeat(more, 0, Expression.UNBOUNDED));
                yield node.path("at_least_one").asBoolean(false) ? some : Expression.optional(some);
            }
            case "triggered_tags" -> {
                List<Expression> tags = new ArrayList<>();
                List<String> begins = new ArrayList<>();
                for (JsonNode tag : node.path("tags")) {
                    begins.add(required(tag, "begin"));
                    tags.add(tag(tag));
                }
                yield triggered(
                        strings(node.path("triggers"), "triggers"),
                        begins,
                        tags,
                        node.path("at_least_one").asBoolean(false),
                        node.path("stop_after_first").asBoolean(false));
            }
            default -> throw fault("the format type '" + type + "' is not supported");
        };
    }

    private List<Expression> elements(JsonNode node) {
        List<Expression> parts = new ArrayList<>();
        node.path("elements").forEach(element -> parts.add(format(element)));
        if (parts.isEmpty()) {
            throw fault("'" + node.path("type").asString("") + "' needs elements");
        }
        return parts;
    }

    private Expression tag(JsonNode node) {
        return Expression.sequence(
                Expression.literal(required(node, "begin")),
                format(node.path("content")),
                Expression.literal(required(node, "end")));
    }

    /** Free text, in which a trigger is the beginning of a tag. */
    private static Expression triggered(
            List<String> triggers, List<String> begins, List<Expression> tags, boolean atLeastOne, boolean once) {
        if (triggers.isEmpty() || tags.isEmpty()) {
            throw fault("'triggers' and tags must not be empty");
        }
        for (String begin : begins) {
            if (triggers.stream().noneMatch(begin::startsWith)) {
                throw fault("no trigger begins '" + begin + "'");
            }
        }
        Expression text = new Expression.Machine(CharNfa.without(new TreeSet<>(triggers)), false);
        Expression tag = new Expression.Choice(tags);
        Expression one = Expression.sequence(text, tag);
        if (once) {
            return atLeastOne ? one : Expression.choice(one, text);
        }
        return Expression.sequence(new Expression.Repeat(one, atLeastOne ? 1 : 0, Expression.UNBOUNDED), text);
    }

    private Expression schema(JsonNode schema) {
        if (!schema.isObject() && !schema.isBoolean()) {
            throw fault("a json_schema must be an object, true or false");
        }
        return include(JsonSchemaRules.of(schema, FIELD, "root"));
    }

    /** Takes rules over under names of their own; those of JSON itself are shared. */
    private Expression include(Rules other) {
        String prefix = "part" + parts++ + ":";
        Set<String> own = new TreeSet<>(other.byName().keySet());
        own.removeIf(name -> name.startsWith("json:"));
        other.byName()
                .forEach((name, body) ->
                        rules.put(own.contains(name) ? prefix + name : name, renamed(body, own, prefix)));
        return new Expression.Rule(prefix + other.start());
    }

    private static Expression renamed(Expression body, Set<String> own, String prefix) {
        return new Renaming(own, prefix).of(body);
    }

    /** Keeps shared parts shared. */
    private record Renaming(Set<String> own, String prefix, Map<Expression, Expression> done) {
        Renaming(Set<String> own, String prefix) {
            this(own, prefix, new java.util.IdentityHashMap<>());
        }

        Expression of(Expression body) {
            Expression known = done.get(body);
            if (known == null) {
                known = switch (body) {
                    case Expression.Rule(String name) -> own.contains(name) ? new Expression.Rule(prefix + name) : body;
                    case Expression.Sequence(List<Expression> list) ->
                        new Expression.Sequence(list.stream().map(this::of).toList());
                    case Expression.Choice(List<Expression> list) ->
                        new Expression.Choice(list.stream().map(this::of).toList());
                    case Expression.Repeat(Expression part, int least, int most) ->
                        new Expression.Repeat(of(part), least, most);
                    case Expression.Chars chars -> chars;
                    case Expression.Machine machine -> machine;
                };
                done.put(body, known);
            }
            return known;
        }
    }

    private static List<String> strings(JsonNode list, String name) {
        List<String> strings = new ArrayList<>();
        for (JsonNode entry : list) {
            if (!entry.isString() || entry.stringValue().isEmpty()) {
                throw fault("'" + name + "' must hold strings that are not empty");
            }
            strings.add(entry.stringValue());
        }
        return strings;
    }

    private static String required(JsonNode node, String name) {
        if (!node.path(name).isString()) {
            throw fault("'" + name + "' of a '" + node.path("type").asString("tag") + "' must be a string");
        }
        return node.path(name).stringValue();
    }

    private static EngineException fault(String what) {
        return GrammarFault.of(FIELD, what);
    }
}
