package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Whether no value that is generated for one schema is valid under another: what {@code oneOf} needs to be an alternative. */
final class SchemaOverlap {
    private static final int MAX_DEPTH = 8;

    private final SchemaNodes nodes;
    private int depth;

    SchemaOverlap(SchemaNodes nodes) {
        this.nodes = nodes;
    }

    /** True only when it can be shown. */
    boolean disjoint(JsonNode first, JsonNode second, String path) {
        if (first.isBoolean() || second.isBoolean()) {
            return first.isBoolean() && !first.asBoolean() || second.isBoolean() && !second.asBoolean();
        }
        if (depth > MAX_DEPTH
                || !(nodes.flat(first, path) instanceof ObjectNode a)
                || !(nodes.flat(second, path) instanceof ObjectNode b)) {
            return false;
        }
        depth++;
        try {
            List<JsonNode> mine = constants(a);
            List<JsonNode> theirs = constants(b);
            Set<String> common = new LinkedHashSet<>(kinds(a, mine));
            common.retainAll(kinds(b, theirs));
            if (common.isEmpty()) {
                return true;
            }
            if (mine != null && theirs != null) {
                return mine.stream().noneMatch(x -> theirs.stream().anyMatch(y -> SchemaNodes.same(x, y)));
            }
            return common.equals(Set.of("object")) && mine == null && theirs == null && objects(a, b, path);
        } finally {
            depth--;
        }
    }

    private static @Nullable List<JsonNode> constants(ObjectNode schema) {
        if (schema.has("const")) {
            return List.of(schema.path("const"));
        }
        if (!schema.has("enum")) {
            return null;
        }
        List<JsonNode> values = new ArrayList<>();
        schema.path("enum").forEach(values::add);
        return values;
    }

    /** Types of the values, all numbers alike. */
    private static Set<String> kinds(ObjectNode schema, @Nullable List<JsonNode> constants) {
        Set<String> kinds = new LinkedHashSet<>();
        if (constants != null) {
            constants.forEach(value -> kinds.add(kind(JsonSchemaRules.typeOf(value))));
        } else if (schema.has("anyOf") || schema.has("oneOf")) {
            kinds.addAll(List.of("object", "array", "string", "number", "boolean", "null"));
        } else {
            JsonSchemaRules.types(schema).forEach(type -> kinds.add(kind(type)));
        }
        return kinds;
    }

    private static String kind(String type) {
        return type.equals("integer") ? "number" : type;
    }

    private boolean objects(ObjectNode a, ObjectNode b, String path) {
        for (String name : SchemaNodes.names(a.path("required"))) {
            JsonNode mine = a.path("properties").get(name);
            JsonNode theirs = b.path("properties").get(name);
            if (mine != null
                    && theirs != null
                    && SchemaNodes.names(b.path("required")).contains(name)
                    && disjoint(mine, theirs, path)) {
                return true;
            }
        }
        return lacks(a, b) && lacks(b, a);
    }

    /** Whether an object generated for {@code made} never has some property that {@code other} requires. */
    private static boolean lacks(ObjectNode made, ObjectNode other) {
        JsonNode more = made.path("additionalProperties");
        boolean closed = more.isBoolean() && !more.asBoolean()
                || more.isMissingNode() && !made.path("properties").isEmpty();
        return closed
                && SchemaNodes.names(other.path("required")).stream()
                        .anyMatch(name -> !made.path("properties").has(name)
                                && !SchemaNodes.names(made.path("required")).contains(name));
    }
}
