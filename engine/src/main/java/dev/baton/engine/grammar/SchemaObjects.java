package dev.baton.engine.grammar;

import dev.baton.engine.grammar.Expression.Repeat;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The texts of objects: members in the schema's order, required ones always, commas between those that are there. */
final class SchemaObjects {
    private final SchemaNodes nodes;
    private final BiFunction<JsonNode, String, Expression> values;

    /** @param values what a schema at a path allows */
    SchemaObjects(SchemaNodes nodes, BiFunction<JsonNode, String, Expression> values) {
        this.nodes = nodes;
        this.values = values;
    }

    /** One declared member. */
    private record Member(Expression text, boolean required) {}

    Expression object(ObjectNode schema, String path) {
        Set<String> required = SchemaNodes.names(schema.path("required"));
        Map<String, JsonNode> declared = declared(schema, required, path);
        Expression more = more(schema, declared, path);
        int least = nodes.count(schema, "minProperties", 0, path);
        int most = nodes.count(schema, "maxProperties", Expression.UNBOUNDED, path);
        if (declared.isEmpty() && more != null) {
            return open(schema, more, least, most, path);
        }
        if (schema.has("propertyNames")) {
            throw nodes.fault(path, "'propertyNames' beside 'properties' is not supported");
        }
        List<Member> members = new ArrayList<>();
        declared.forEach((name, value) -> members.add(new Member(
                member(JsonText.exactly(name), values.apply(value, path + "/properties/" + name)),
                required.contains(name))));
        boolean counted = least > required.size() || most < Expression.UNBOUNDED;
        if (counted && more != null) {
            throw nodes.fault(
                    path, "'minProperties' or 'maxProperties' beside 'properties' needs additionalProperties: false");
        }
        Expression body = counted ? counted(members, least, most) : inOrder(members, more);
        return JsonText.braces(body);
    }

    private static Expression member(Expression key, Expression value) {
        return value.equals(Expression.NEVER)
                ? Expression.NEVER
                : Expression.sequence(key, Expression.literal(":"), JsonText.SPACE, value);
    }

    /** The named properties; a required name without a schema of its own falls under additionalProperties. */
    private Map<String, JsonNode> declared(ObjectNode schema, Set<String> required, String path) {
        Map<String, JsonNode> declared = new LinkedHashMap<>();
        if (schema.has("properties") && !schema.path("properties").isObject()) {
            throw nodes.fault(path, "'properties' must be an object");
        }
        for (var entry : schema.path("properties").properties()) {
            declared.put(entry.getKey(), entry.getValue());
        }
        JsonNode otherwise = schema.has("additionalProperties")
                ? schema.path("additionalProperties")
                : schema.booleanNode(!isFalse(schema.path("unevaluatedProperties")));
        for (String name : required) {
            declared.putIfAbsent(name, otherwise);
        }
        return declared;
    }

    private static boolean isFalse(JsonNode node) {
        return node.isBoolean() && !node.asBoolean();
    }

    /** A member that is not declared; null when there is none. */
    private @Nullable Expression more(ObjectNode schema, Map<String, JsonNode> declared, String path) {
        JsonNode unevaluated = schema.path("unevaluatedProperties");
        if (!unevaluated.isMissingNode() && !isFalse(unevaluated)) {
            throw nodes.fault(path, "'unevaluatedProperties' other than false is not supported");
        }
        JsonNode additional = schema.path("additionalProperties");
        boolean absent = additional.isMissingNode();
        if (isFalse(additional) || absent && (!declared.isEmpty() || isFalse(unevaluated))) {
            return null;
        }
        Expression value = absent ? JsonText.VALUE : values.apply(additional, path + "/additionalProperties");
        Expression key = JsonText.STRING;
        if (schema.has("propertyNames")) {
            JsonNode names = schema.path("propertyNames");
            ObjectNode strings = schema.objectNode().put("type", "string");
            key = values.apply(
                    nodes.and(strings, nodes.flat(names, path), path + "/propertyNames"), path + "/propertyNames");
        } else if (!declared.isEmpty()) {
            key = JsonText.quoted(new Expression.Machine(CharNfa.except(declared.keySet()), true));
        }
        return member(key, value);
    }

    /** An object of which no property is declared. */
    private Expression open(ObjectNode schema, Expression member, int least, int most, String path) {
        if (least > 1) {
            // Names might repeat: two members need not be two properties.
            throw nodes.fault(path, "'minProperties' above 1 without 'properties' is not supported");
        }
        if (most < least) {
            return Expression.NEVER;
        }
        boolean free = least == 0 && most == Expression.UNBOUNDED && !schema.has("propertyNames");
        if (free && !schema.has("additionalProperties")) {
            return JsonText.OBJECT;
        }
        Expression some = Expression.sequence(
                member,
                new Repeat(JsonText.next(member), 0, most == Expression.UNBOUNDED ? most : Math.max(0, most - 1)));
        return JsonText.braces(
                most == 0 ? Expression.EMPTY : least > 0 ? some : Expression.choice(Expression.EMPTY, some));
    }

    private static Expression inOrder(List<Member> members, @Nullable Expression more) {
        // What may stand where members i and later are still to come, with and without one before them.
        Expression head = more == null
                ? Expression.EMPTY
                : Expression.optional(
                        Expression.sequence(more, new Repeat(JsonText.next(more), 0, Expression.UNBOUNDED)));
        Expression tail = more == null ? Expression.EMPTY : new Repeat(JsonText.next(more), 0, Expression.UNBOUNDED);
        for (Member member : members.reversed()) {
            Expression here = Expression.sequence(member.text, tail);
            Expression there = Expression.sequence(Expression.literal(","), JsonText.SPACE, here);
            head = member.required ? here : Expression.choice(here, head);
            tail = member.required ? there : Expression.choice(there, tail);
        }
        return head;
    }

    /** As {@link #inOrder}, with the number of members kept in mind. */
    private static Expression counted(List<Member> members, int least, int most) {
        int n = members.size();
        // rest[c]: what may follow when c members stand before and members i and later are to come.
        Expression[] rest = new Expression[n + 2];
        for (int c = 0; c <= n; c++) {
            rest[c] = c >= least && c <= most ? Expression.EMPTY : Expression.NEVER;
        }
        rest[n + 1] = Expression.NEVER;
        for (int i = n - 1; i >= 0; i--) {
            Expression[] before = new Expression[n + 2];
            before[n + 1] = Expression.NEVER;
            for (int c = 0; c <= n; c++) {
                Expression here = Expression.sequence(members.get(i).text, rest[c + 1]);
                Expression with = c == 0 ? here : Expression.sequence(Expression.literal(","), JsonText.SPACE, here);
                before[c] = members.get(i).required ? with : Expression.choice(with, rest[c]);
            }
            rest = before;
        }
        return rest[0];
    }
}
