package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Turns Java and Jackson values into those of the interpreter. */
final class TemplateInputs {
    private TemplateInputs() {}

    static @Nullable Object of(@Nullable Object value) {
        return switch (value) {
            case null -> null;
            case JsonNode node -> json(node);
            case String text -> text;
            case Boolean bool -> bool;
            case Long number -> number;
            case Double number -> number;
            case Integer number -> number.longValue();
            case Short number -> number.longValue();
            case Byte number -> number.longValue();
            case java.math.BigInteger number -> number.bitLength() < 64 ? (Object) number.longValue() : number;
            case Number number -> number.doubleValue();
            case Map<?, ?> map -> {
                Map<@Nullable Object, @Nullable Object> copy = new LinkedHashMap<>();
                map.forEach((key, item) -> copy.put(of(key), of(item)));
                yield copy;
            }
            case Collection<?> items -> {
                List<@Nullable Object> copy = new ArrayList<>(items.size());
                items.forEach(item -> copy.add(of(item)));
                yield copy;
            }
            default ->
                throw new IllegalArgumentException(
                        "a template cannot take a " + value.getClass().getName());
        };
    }

    private static @Nullable Object json(JsonNode node) {
        return switch (node.getNodeType()) {
            case NULL, MISSING -> null;
            case BOOLEAN -> node.booleanValue();
            case STRING -> node.stringValue();
            case NUMBER -> of(node.numberValue());
            case ARRAY -> {
                List<@Nullable Object> items = new ArrayList<>(node.size());
                node.forEach(item -> items.add(json(item)));
                yield items;
            }
            case OBJECT -> {
                Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
                for (Map.Entry<String, JsonNode> entry : node.properties()) {
                    map.put(entry.getKey(), json(entry.getValue()));
                }
                yield map;
            }
            case BINARY, POJO -> throw new IllegalArgumentException("a template cannot take " + node.getNodeType());
        };
    }
}
