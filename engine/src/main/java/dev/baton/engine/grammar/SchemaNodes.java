package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import java.math.BigDecimal;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** References and conjunctions of JSON schemas: what must hold together becomes one schema. */
final class SchemaNodes {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final int MAX_CROSS = 256;
    private static final BigDecimal MAX_COUNT = BigDecimal.valueOf(100_000);

    /** Keywords that say nothing about a value. */
    static final Set<String> NOTES = Set.of(
            "title",
            "description",
            "default",
            "examples",
            "example",
            "$schema",
            "$id",
            "$comment",
            "$defs",
            "definitions",
            "$anchor",
            "$vocabulary",
            "deprecated",
            "readOnly",
            "writeOnly",
            "contentEncoding",
            "contentMediaType",
            "discriminator",
            "strict",
            "nullable",
            "externalDocs",
            "xml");

    private final JsonNode root;
    private final String field;

    SchemaNodes(JsonNode root, String field) {
        this.root = root;
        this.field = field;
    }

    EngineException fault(String path, String what) {
        return GrammarFault.of(field, "at " + path + ": " + what);
    }

    /** A keyword's count; {@code otherwise} when it is not there. */
    int count(ObjectNode schema, String name, int otherwise, String path) {
        JsonNode node = schema.path(name);
        if (node.isMissingNode()) {
            return otherwise;
        }
        if (!node.isNumber()
                || node.decimalValue().signum() < 0
                || node.decimalValue().stripTrailingZeros().scale() > 0) {
            throw fault(path, "'" + name + "' must be a number of 0 or more");
        }
        if (node.decimalValue().compareTo(MAX_COUNT) > 0) {
            throw fault(path, "'" + name + "' above " + MAX_COUNT + " is not supported");
        }
        return node.decimalValue().intValueExact();
    }

    /** The schema that a reference within the document names. */
    JsonNode resolve(String reference, String path) {
        if (!reference.startsWith("#")) {
            throw fault(path, "'$ref' to another document (" + reference + ") is not supported");
        }
        String pointer = java.net.URLDecoder.decode(
                reference.substring(1).replace("+", "%2B"), java.nio.charset.StandardCharsets.UTF_8);
        if (!pointer.isEmpty() && !pointer.startsWith("/")) {
            throw fault(path, "'$ref' to an anchor (" + reference + ") is not supported");
        }
        JsonNode target = root.at(pointer);
        if (target.isMissingNode()) {
            throw fault(path, "'$ref' names " + reference + ", which is not there");
        }
        return target;
    }

    /** The schema with its reference and its allOf taken in: neither is left. */
    JsonNode flat(JsonNode schema, String path) {
        return flat(schema, path, new HashSet<>());
    }

    private JsonNode flat(JsonNode schema, String path, Set<String> seen) {
        if (!(schema instanceof ObjectNode object) || !object.has("$ref") && !object.has("allOf")) {
            return schema;
        }
        ObjectNode own = object.deepCopy();
        JsonNode reference = own.remove("$ref");
        JsonNode all = own.remove("allOf");
        JsonNode merged = own;
        if (reference != null) {
            if (!seen.add(reference.asString(""))) {
                throw fault(path, "'$ref' " + reference.asString("") + " leads back to itself");
            }
            merged = and(merged, flat(resolve(reference.asString(""), path), path, seen), path);
            seen.remove(reference.asString(""));
        }
        if (all != null) {
            for (JsonNode part : all) {
                merged = and(merged, flat(part, path + "/allOf", seen), path);
            }
        }
        return merged;
    }

    /** One schema for what both ask. Both are flat or become so by {@link #flat}. */
    JsonNode and(JsonNode a, JsonNode b, String path) {
        if (a.isBoolean()) {
            return a.asBoolean() ? b : a;
        }
        if (b.isBoolean()) {
            return b.asBoolean() ? a : b;
        }
        if (!(a instanceof ObjectNode left) || !(b instanceof ObjectNode right)) {
            throw fault(path, "a schema must be an object, true or false");
        }
        ObjectNode out = left.deepCopy();
        properties(out, left, right);
        for (var entry : right.properties()) {
            String key = entry.getKey();
            JsonNode mine = out.get(key);
            JsonNode theirs = entry.getValue();
            if (key.equals("properties") || key.equals("additionalProperties") || NOTES.contains(key) && mine != null) {
                continue;
            }
            if (mine == null || mine.equals(theirs)) {
                out.set(key, theirs);
                continue;
            }
            JsonNode joined = join(key, mine, theirs, path);
            if (joined == null) {
                return NODES.booleanNode(false);
            }
            out.set(key, joined);
        }
        return out;
    }

    /** Properties of both; what one schema does not name falls under its additionalProperties. */
    private static void properties(ObjectNode out, ObjectNode left, ObjectNode right) {
        ObjectNode all = NODES.objectNode();
        Set<String> names = new LinkedHashSet<>();
        left.path("properties").propertyNames().forEach(names::add);
        right.path("properties").propertyNames().forEach(names::add);
        for (String name : names) {
            all.set(name, both(property(left, name), property(right, name)));
        }
        if (!names.isEmpty()) {
            out.set("properties", all);
        }
        JsonNode more = both(left.get("additionalProperties"), right.get("additionalProperties"));
        if (left.has("additionalProperties") || right.has("additionalProperties")) {
            out.set("additionalProperties", more);
        }
    }

    private static @Nullable JsonNode property(ObjectNode schema, String name) {
        JsonNode own = schema.path("properties").get(name);
        return own != null ? own : schema.get("additionalProperties");
    }

    private static JsonNode both(@Nullable JsonNode a, @Nullable JsonNode b) {
        if (a == null || b == null) {
            return a != null ? a : b != null ? b : NODES.booleanNode(true);
        }
        if (a.isBoolean() && b.isBoolean()) {
            return NODES.booleanNode(a.asBoolean() && b.asBoolean());
        }
        ObjectNode node = NODES.objectNode();
        node.putArray("allOf").add(a).add(b);
        return node;
    }

    /** The value of a keyword that both have; null when nothing can satisfy both. */
    private @Nullable JsonNode join(String key, JsonNode a, JsonNode b, String path) {
        return switch (key) {
            case "type" -> types(a, b);
            case "required" -> {
                Set<JsonNode> names = new LinkedHashSet<>();
                a.forEach(names::add);
                b.forEach(names::add);
                ArrayNode list = NODES.arrayNode();
                names.forEach(list::add);
                yield list;
            }
            case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties" ->
                a.decimalValue().compareTo(b.decimalValue()) >= 0 ? a : b;
            case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties" ->
                a.decimalValue().compareTo(b.decimalValue()) <= 0 ? a : b;
            case "enum" -> {
                ArrayNode list = NODES.arrayNode();
                for (JsonNode value : a) {
                    if (contains(b, value)) {
                        list.add(value);
                    }
                }
                yield list.isEmpty() ? null : list;
            }
            case "const" -> same(a, b) ? a : null;
            case "items" -> both(a, b);
            case "anyOf" -> cross(a, b, path);
            default -> throw fault(path, "two '" + key + "' that must hold together are not supported");
        };
    }

    private JsonNode cross(JsonNode a, JsonNode b, String path) {
        if (a.size() * b.size() > MAX_CROSS) {
            throw fault(path, "two 'anyOf' that must hold together have more than " + MAX_CROSS + " combinations");
        }
        ArrayNode options = NODES.arrayNode();
        for (JsonNode x : a) {
            for (JsonNode y : b) {
                options.add(both(x, y));
            }
        }
        return options;
    }

    private static @Nullable JsonNode types(JsonNode a, JsonNode b) {
        Set<String> left = names(a);
        Set<String> right = names(b);
        ArrayNode kept = NODES.arrayNode();
        for (String type : left) {
            if (right.contains(type)) {
                kept.add(type);
            } else if (type.equals("integer") && right.contains("number")
                    || type.equals("number") && right.contains("integer")) {
                kept.add("integer");
            }
        }
        return kept.isEmpty() ? null : kept;
    }

    /** A string or the strings of an array. */
    static Set<String> names(JsonNode node) {
        Set<String> names = new LinkedHashSet<>();
        if (node.isString()) {
            names.add(node.stringValue());
        }
        for (JsonNode entry : node) {
            names.add(entry.asString(""));
        }
        return names;
    }

    static boolean contains(JsonNode values, JsonNode value) {
        for (JsonNode one : values) {
            if (same(one, value)) {
                return true;
            }
        }
        return false;
    }

    /** Equal as JSON values: 1 and 1.0 are. */
    static boolean same(JsonNode a, JsonNode b) {
        return a.isNumber() && b.isNumber() ? a.decimalValue().compareTo(b.decimalValue()) == 0 : a.equals(b);
    }
}
