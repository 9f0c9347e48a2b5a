package dev.baton.engine.grammar;

import dev.baton.engine.grammar.Expression.Choice;
import dev.baton.engine.grammar.Expression.Repeat;
import dev.baton.engine.grammar.Expression.Rule;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The texts of the JSON values that a schema allows. Every text that the rules match is valid under the schema; not every
 * valid value is matched: properties come in the order in which the schema has them, those it does not name are left out
 * unless {@code additionalProperties} asks for them, strings with a pattern are written with the shortest escapes, numbers
 * are bounded in length. What cannot be guaranteed is refused by name.
 */
final class JsonSchemaRules {
    private static final int MAX_DEPTH = 128;

    /** Keywords that would have to be obeyed and are not. */
    private static final Set<String> UNSUPPORTED = new TreeSet<>(Set.of(
            "not",
            "if",
            "then",
            "else",
            "patternProperties",
            "dependentRequired",
            "dependentSchemas",
            "dependencies",
            "contains",
            "minContains",
            "maxContains",
            "unevaluatedItems",
            "$dynamicRef",
            "$recursiveRef"));

    private static final Set<String> KNOWN = Set.of(
            "$ref",
            "allOf",
            "anyOf",
            "oneOf",
            "const",
            "enum",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "propertyNames",
            "minProperties",
            "maxProperties",
            "unevaluatedProperties",
            "items",
            "prefixItems",
            "additionalItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "pattern",
            "format",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf");

    private static final Map<String, List<String>> TYPE_KEYWORDS = Map.of(
            "object",
                    List.of(
                            "properties",
                            "required",
                            "additionalProperties",
                            "propertyNames",
                            "minProperties",
                            "maxProperties",
                            "unevaluatedProperties"),
            "array", List.of("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"),
            "string", List.of("pattern", "format", "minLength", "maxLength"),
            "number", List.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"));

    private static final List<String> TYPES =
            List.of("object", "array", "string", "number", "integer", "boolean", "null");

    private final String field;
    private final SchemaNodes nodes;
    private final SchemaObjects objects;
    private final Map<String, Expression> rules = new LinkedHashMap<>();
    /** Rules of schemas that references name, by the schema. */
    private final Map<String, Rule> references = new HashMap<>();

    private int depth;

    private JsonSchemaRules(JsonNode root, String field) {
        this.field = field;
        this.nodes = new SchemaNodes(root, field);
        this.objects = new SchemaObjects(nodes, this::value);
    }

    /** The rules of a schema's text; {@code $$ANY$$} is any JSON value. */
    static Rules of(String text, String field) {
        JsonNode root = text.equals("$$ANY$$") ? JsonText.read("true", field) : JsonText.read(text, field);
        return of(root, field, "root");
    }

    static Rules of(JsonNode root, String field, String start) {
        JsonSchemaRules made = new JsonSchemaRules(root, field);
        JsonText.addTo(made.rules);
        made.rules.put(start, made.value(root, "#"));
        return new Rules(made.rules, start);
    }

    /** What a schema allows. Anything but a name is given a rule of its own, so that uses share it. */
    Expression value(JsonNode schema, String path) {
        if (++depth > MAX_DEPTH) {
            throw nodes.fault(
                    path,
                    "it is nested more than " + MAX_DEPTH + " deep (or a '$ref' beside other keywords"
                            + " leads back to itself)");
        }
        try {
            Expression expression = expression(schema, path);
            if (expression instanceof Rule || expression.equals(Expression.NEVER)) {
                return expression;
            }
            Rule rule = new Rule(field + ":" + path + "/" + rules.size());
            rules.put(rule.name(), expression);
            return rule;
        } finally {
            depth--;
        }
    }

    private Expression expression(JsonNode schema, String path) {
        if (schema.isBoolean()) {
            return schema.asBoolean() ? JsonText.VALUE : Expression.NEVER;
        }
        if (!(schema instanceof ObjectNode object)) {
            throw nodes.fault(path, "a schema must be an object, true or false");
        }
        if (object.has("$ref") && saysOnly(object, "$ref")) {
            return reference(object.path("$ref").asString(""), path);
        }
        JsonNode flat = nodes.flat(object, path);
        if (!(flat instanceof ObjectNode own)) {
            return expression(flat, path);
        }
        checkKeywords(own, path);
        if (own.has("anyOf")) {
            return options(own, "anyOf", path);
        }
        if (own.has("oneOf")) {
            return options(own, "oneOf", path);
        }
        if (own.has("const") || own.has("enum")) {
            return constants(own, path);
        }
        List<Expression> byType = new ArrayList<>();
        for (String type : types(own, path)) {
            byType.add(typed(type, own, path));
        }
        return byType.size() == 1 ? byType.getFirst() : new Choice(byType);
    }

    private static boolean saysOnly(ObjectNode schema, String keyword) {
        for (String name : schema.propertyNames()) {
            if (!name.equals(keyword) && !SchemaNodes.NOTES.contains(name)) {
                return false;
            }
        }
        return true;
    }

    private Rule reference(String name, String path) {
        Rule known = references.get(name);
        if (known == null) {
            known = new Rule(field + ":" + name);
            references.put(name, known);
            rules.put(known.name(), Expression.NEVER);
            rules.put(known.name(), value(nodes.resolve(name, path), name));
        }
        return known;
    }

    private void checkKeywords(ObjectNode schema, String path) {
        for (String name : schema.propertyNames()) {
            if (UNSUPPORTED.contains(name)) {
                throw nodes.fault(path, "'" + name + "' is not supported");
            }
            if (!KNOWN.contains(name) && !SchemaNodes.NOTES.contains(name) && !name.startsWith("x-")) {
                throw nodes.fault(path, "the keyword '" + name + "' is not known");
            }
        }
    }

    private Expression options(ObjectNode schema, String keyword, String path) {
        JsonNode list = schema.path(keyword);
        if (!list.isArray() || list.isEmpty()) {
            throw nodes.fault(path, "'" + keyword + "' must be an array with at least one schema");
        }
        ObjectNode rest = schema.deepCopy();
        rest.remove(keyword);
        boolean alone = saysOnly(rest, keyword);
        List<JsonNode> merged = new ArrayList<>();
        List<Expression> options = new ArrayList<>();
        for (int i = 0; i < list.size(); i++) {
            String at = path + "/" + keyword + "/" + i;
            JsonNode option = alone ? list.get(i) : nodes.and(rest, nodes.flat(list.get(i), at), at);
            if (keyword.equals("oneOf")) {
                JsonNode flat = nodes.flat(option, at);
                for (int j = 0; j < merged.size(); j++) {
                    if (!new SchemaOverlap(nodes).disjoint(merged.get(j), flat, at)) {
                        throw nodes.fault(
                                path,
                                "'oneOf' whose options " + j + " and " + i
                                        + " may both match a value is not supported; use 'anyOf', or give them"
                                        + " different types or a required property with different constants");
                    }
                }
                merged.add(flat);
            }
            options.add(value(option, at));
        }
        return new Choice(options);
    }

    private Expression constants(ObjectNode schema, String path) {
        List<JsonNode> values = new ArrayList<>();
        if (schema.has("const")) {
            values.add(schema.path("const"));
        }
        if (schema.has("enum")) {
            if (!schema.path("enum").isArray()) {
                throw nodes.fault(path, "'enum' must be an array");
            }
            if (values.isEmpty()) {
                schema.path("enum").forEach(values::add);
            } else {
                values.removeIf(value -> !SchemaNodes.contains(schema.path("enum"), value));
            }
        }
        for (String name : schema.propertyNames()) {
            if (!Set.of("const", "enum", "type").contains(name) && !SchemaNodes.NOTES.contains(name)) {
                throw nodes.fault(path, "'" + name + "' beside 'enum' or 'const' is not supported");
            }
        }
        Set<String> types = schema.has("type") ? SchemaNodes.names(schema.path("type")) : Set.copyOf(TYPES);
        List<Expression> texts = new ArrayList<>();
        for (JsonNode value : values) {
            String type = typeOf(value);
            if (types.contains(type) || type.equals("integer") && types.contains("number")) {
                texts.add(JsonText.exactly(value));
            }
        }
        return new Choice(texts);
    }

    static String typeOf(JsonNode value) {
        if (value.isNumber()) {
            return value.decimalValue().stripTrailingZeros().scale() <= 0 ? "integer" : "number";
        }
        return value.isString()
                ? "string"
                : value.isBoolean() ? "boolean" : value.isNull() ? "null" : value.isArray() ? "array" : "object";
    }

    /** The types that a schema names, or those that its keywords are about, or all. */
    static Set<String> types(ObjectNode schema) {
        if (schema.has("type")) {
            return SchemaNodes.names(schema.path("type"));
        }
        Set<String> types = new LinkedHashSet<>();
        for (String type : List.of("object", "array", "string", "number")) {
            if (TYPE_KEYWORDS.getOrDefault(type, List.of()).stream().anyMatch(schema::has)) {
                types.add(type);
            }
        }
        return types.isEmpty()
                ? new LinkedHashSet<>(List.of("object", "array", "string", "number", "boolean", "null"))
                : types;
    }

    private Set<String> types(ObjectNode schema, String path) {
        Set<String> types = new LinkedHashSet<>(types(schema));
        for (String type : types) {
            if (!TYPES.contains(type)) {
                throw nodes.fault(path, "'type' must be one of " + String.join(", ", TYPES) + ", got '" + type + "'");
            }
        }
        if (types.contains("number")) {
            types.remove("integer");
        }
        return types;
    }

    private Expression typed(String type, ObjectNode schema, String path) {
        return switch (type) {
            case "object" -> objects.object(schema, path);
            case "array" -> array(schema, path);
            case "string" -> string(schema, path);
            case "number" -> number(schema, path);
            case "integer" -> integer(schema, path);
            case "boolean" -> JsonText.BOOLEAN;
            default -> JsonText.NULL;
        };
    }

    private Expression array(ObjectNode schema, String path) {
        JsonNode items = schema.path("items");
        JsonNode prefix = items.isArray() ? items : schema.path("prefixItems");
        JsonNode rest = items.isArray() ? schema.path("additionalItems") : items;
        int least = nodes.count(schema, "minItems", 0, path);
        int most = nodes.count(schema, "maxItems", Expression.UNBOUNDED, path);
        if (schema.path("uniqueItems").asBoolean(false) && most > 1) {
            throw nodes.fault(path, "'uniqueItems' is not supported");
        }
        if (most < least) {
            return Expression.NEVER;
        }
        List<Expression> first = new ArrayList<>();
        for (int i = 0; i < Math.min(prefix.size(), most); i++) {
            first.add(value(prefix.get(i), path + "/prefixItems/" + i));
        }
        // A tuple that does not say what follows has nothing behind it.
        boolean closed = rest.isMissingNode() && !prefix.isMissingNode();
        Expression more = closed || most <= first.size()
                ? Expression.NEVER
                : rest.isMissingNode() ? JsonText.VALUE : value(rest, path + "/items");
        if (first.isEmpty() && least == 0 && most == Expression.UNBOUNDED && more.equals(JsonText.VALUE)) {
            return JsonText.ARRAY;
        }
        int fixed = first.size();
        Expression tail = new Repeat(
                JsonText.next(more),
                Math.max(0, least - fixed),
                most == Expression.UNBOUNDED ? most : Math.max(0, most - fixed));
        for (int i = fixed - 1; i >= 1; i--) {
            Expression one = Expression.sequence(JsonText.next(first.get(i)), tail);
            tail = least > i ? one : Expression.optional(one);
        }
        Expression all;
        if (fixed > 0) {
            all = Expression.sequence(first.getFirst(), tail);
        } else {
            all = Expression.sequence(
                    more,
                    new Repeat(
                            JsonText.next(more),
                            Math.max(0, least - 1),
                            most == Expression.UNBOUNDED ? most : Math.max(0, most - 1)));
        }
        return JsonText.brackets(
                most == 0 ? Expression.EMPTY : least == 0 ? Expression.choice(Expression.EMPTY, all) : all);
    }

    private Expression string(ObjectNode schema, String path) {
        CharNfa content = strings(schema, path);
        int least = nodes.count(schema, "minLength", 0, path);
        int most = nodes.count(schema, "maxLength", Expression.UNBOUNDED, path);
        if (most < least) {
            return Expression.NEVER;
        }
        boolean bounded = least > 0 || most < Expression.UNBOUNDED;
        if (content == null) {
            return bounded ? JsonText.quoted(new Repeat(JsonText.CHARACTER, least, most)) : JsonText.STRING;
        }
        CharNfa cut = bounded ? content.and(CharNfa.length(least, most)) : content;
        return JsonText.quoted(new Expression.Machine(cut, true));
    }

    /** What pattern and format allow; null when neither is there. */
    private @Nullable CharNfa strings(ObjectNode schema, String path) {
        CharNfa content = null;
        if (schema.has("pattern")) {
            content = CharNfa.of(
                    RegexParser.found(schema.path("pattern").asString(""), field + ": at " + path + ": pattern"));
        }
        if (schema.has("format")) {
            String format = schema.path("format").asString("");
            String regex = StringFormats.regex(format);
            if (regex == null) {
                throw nodes.fault(
                        path, "the format '" + format + "' is not supported (known: " + StringFormats.known() + ")");
            }
            CharNfa matches = CharNfa.of(RegexParser.whole(regex, field));
            content = content == null ? matches : content.and(matches);
        }
        return content;
    }

    private Expression number(ObjectNode schema, String path) {
        if (schema.has("multipleOf")) {
            throw nodes.fault(path, "'multipleOf' is not supported");
        }
        NumberRange.Bound low = bound(schema, "minimum", "exclusiveMinimum", 1, path);
        NumberRange.Bound high = bound(schema, "maximum", "exclusiveMaximum", -1, path);
        return low == null && high == null ? JsonText.NUMBER : NumberRange.decimals(low, high);
    }

    private Expression integer(ObjectNode schema, String path) {
        JsonNode multiple = schema.path("multipleOf");
        if (!multiple.isMissingNode()
                && !(multiple.isNumber() && multiple.decimalValue().compareTo(BigDecimal.ONE) == 0)) {
            throw nodes.fault(path, "'multipleOf' is not supported");
        }
        NumberRange.Bound low = bound(schema, "minimum", "exclusiveMinimum", 1, path);
        NumberRange.Bound high = bound(schema, "maximum", "exclusiveMaximum", -1, path);
        if (low == null && high == null) {
            return JsonText.INTEGER;
        }
        BigInteger least = null;
        if (low != null) {
            least = low.value().setScale(0, RoundingMode.CEILING).toBigInteger();
            if (!low.included() && new BigDecimal(least).compareTo(low.value()) == 0) {
                least = least.add(BigInteger.ONE);
            }
        }
        BigInteger most = null;
        if (high != null) {
            most = high.value().setScale(0, RoundingMode.FLOOR).toBigInteger();
            if (!high.included() && new BigDecimal(most).compareTo(high.value()) == 0) {
                most = most.subtract(BigInteger.ONE);
            }
        }
        return NumberRange.integers(least, most);
    }

    /** The tighter one of two bounds; {@code sign} is 1 for lower bounds. */
    private NumberRange.@Nullable Bound bound(
            ObjectNode schema, String inclusive, String exclusive, int sign, String path) {
        JsonNode in = schema.path(inclusive);
        JsonNode ex = schema.path(exclusive);
        if (ex.isBoolean()) {
            // Draft 4: a switch beside the bound.
            return in.isNumber() ? new NumberRange.Bound(in.decimalValue(), !ex.asBoolean()) : null;
        }
        for (String name : List.of(inclusive, exclusive)) {
            if (schema.has(name) && !schema.path(name).isNumber()) {
                throw nodes.fault(path, "'" + name + "' must be a number");
            }
        }
        if (ex.isMissingNode()) {
            return in.isMissingNode() ? null : new NumberRange.Bound(in.decimalValue(), true);
        }
        boolean exclusiveWins = in.isMissingNode() || ex.decimalValue().compareTo(in.decimalValue()) * sign >= 0;
        return exclusiveWins
                ? new NumberRange.Bound(ex.decimalValue(), false)
                : new NumberRange.Bound(in.decimalValue(), true);
    }
}
