package dev.baton.engine.grammar;

import java.util.List;
import java.util.Random;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Random schemas of what is supported. */
final class RandomSchemas {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final List<String> NAMES = List.of("a", "b", "name", "größe", "x\"y", "list", "kind", "ab");
    private static final List<String> FORMATS =
            List.of("date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "duration");
    private static final List<String> PATTERNS =
            List.of("^[a-z]{2,4}$", "b+", "^a|z$", "^\"[^\"]*\"$", "[\\\\/\\n]", "^(\\d{2}|[äö]x)*$", "^$");

    private final Random random;

    RandomSchemas(Random random) {
        this.random = random;
    }

    /** A schema with definitions that may refer to each other, always by way of something optional. */
    JsonNode next() {
        ObjectNode root = object(3);
        ObjectNode defs = root.putObject("$defs");
        defs.set("leaf", any(0));
        ObjectNode tree = defs.putObject("tree").put("type", "object");
        tree.putArray("required").add("value");
        ObjectNode properties = tree.putObject("properties");
        properties.set("value", any(0));
        properties.putObject("children").put("type", "array").put("maxItems", 2).set("items", reference("tree"));
        properties
                .putObject("left")
                .putArray("anyOf")
                .add(reference("tree"))
                .add(NODES.objectNode().put("type", "null"));
        return root;
    }

    private ObjectNode reference(String name) {
        return NODES.objectNode().put("$ref", "#/$defs/" + name);
    }

    private JsonNode any(int depth) {
        return switch (random.nextInt(depth > 0 ? 15 : 9)) {
            case 0 -> string();
            case 1 -> integer();
            case 2 -> number();
            case 3 -> NODES.objectNode().put("type", "boolean");
            case 4 -> NODES.objectNode().put("type", "null");
            case 5 -> constants();
            case 6 -> {
                ObjectNode types = NODES.objectNode();
                types.putArray("type").add("string").add("null").add("integer");
                types.put("minimum", 5).put("maxLength", 3);
                yield types;
            }
            case 7 -> string();
            case 8 -> NODES.booleanNode(true);
            case 9 -> array(depth - 1);
            case 10 -> object(depth - 1);
            case 11 -> {
                ObjectNode either = NODES.objectNode();
                either.putArray("anyOf").add(any(depth - 1)).add(any(depth - 1));
                yield either;
            }
            case 12 -> {
                ObjectNode one = NODES.objectNode();
                ArrayNode options = one.putArray("oneOf");
                for (String kind : List.of("p", "q")) {
                    ObjectNode option = object(depth - 1);
                    ObjectNode properties = option.has("properties")
                            ? (ObjectNode) option.path("properties")
                            : option.putObject("properties");
                    properties.putObject("kind").put("const", kind);
                    option.remove("minProperties");
                    option.remove("maxProperties");
                    option.putArray("required").add("kind");
                    options.add(option);
                }
                yield one;
            }
            case 13 -> reference(random.nextBoolean() ? "leaf" : "tree");
            default -> {
                ObjectNode both = NODES.objectNode();
                both.putArray("allOf")
                        .add(NODES.objectNode().put("type", "integer").put("minimum", random.nextInt(50)))
                        .add(NODES.objectNode().put("maximum", 50 + random.nextInt(50)));
                yield both;
            }
        };
    }

    private JsonNode constants() {
        ObjectNode schema = NODES.objectNode();
        if (random.nextBoolean()) {
            schema.put("const", "one\n\"two\"");
        } else {
            ObjectNode value = NODES.objectNode();
            value.put("k", 1.5).putArray("l").add(true);
            schema.putArray("enum").add("red").add(7).addNull().add(value);
        }
        return schema;
    }

    private ObjectNode string() {
        ObjectNode schema = NODES.objectNode().put("type", "string");
        switch (random.nextInt(5)) {
            case 0 -> schema.put("minLength", random.nextInt(4)).put("maxLength", 4 + random.nextInt(6));
            case 1 -> schema.put("format", FORMATS.get(random.nextInt(FORMATS.size())));
            case 2 -> schema.put("pattern", PATTERNS.get(random.nextInt(PATTERNS.size())));
            case 3 -> schema.put("pattern", "[bx]").put("maxLength", 5);
            default -> {}
        }
        return schema;
    }

    private ObjectNode integer() {
        ObjectNode schema = NODES.objectNode().put("type", "integer");
        int low = random.nextInt(4000) - 2000;
        switch (random.nextInt(4)) {
            case 0 -> schema.put("minimum", low).put("maximum", low + random.nextInt(3000));
            case 1 -> schema.put("exclusiveMinimum", low);
            case 2 -> schema.put("maximum", low + 0.5);
            default -> {}
        }
        return schema;
    }

    private ObjectNode number() {
        ObjectNode schema = NODES.objectNode().put("type", "number");
        double low = (random.nextInt(4000) - 2000) / (random.nextBoolean() ? 100.0 : 1.0);
        switch (random.nextInt(4)) {
            case 0 -> schema.put("minimum", low).put("exclusiveMaximum", low + 0.001 + random.nextInt(3000) / 1000.0);
            case 1 -> schema.put("exclusiveMinimum", low);
            case 2 -> schema.put("maximum", low);
            default -> {}
        }
        return schema;
    }

    private ObjectNode array(int depth) {
        ObjectNode schema = NODES.objectNode().put("type", "array");
        schema.set("items", any(depth));
        if (random.nextInt(3) == 0) {
            schema.putArray("prefixItems").add(any(0)).add(any(0));
        }
        if (random.nextBoolean()) {
            schema.put("minItems", random.nextInt(3)).put("maxItems", 2 + random.nextInt(3));
        }
        return schema;
    }

    private ObjectNode object(int depth) {
        ObjectNode schema = NODES.objectNode().put("type", "object");
        ObjectNode properties = NODES.objectNode();
        ArrayNode required = NODES.arrayNode();
        for (String name : NAMES) {
            if (random.nextInt(3) == 0) {
                properties.set(name, any(Math.max(0, depth)));
                if (random.nextBoolean()) {
                    required.add(name);
                }
            }
        }
        if (!properties.isEmpty()) {
            schema.set("properties", properties);
        }
        if (!required.isEmpty()) {
            schema.set("required", required);
        }
        switch (random.nextInt(5)) {
            case 0 -> schema.put("additionalProperties", false);
            case 1 -> schema.set("additionalProperties", any(0));
            case 2 -> {
                if (properties.size() > required.size() + 1) {
                    schema.put("minProperties", required.size() + 1)
                            .put("maxProperties", properties.size() - 1)
                            .put("additionalProperties", false);
                }
            }
            default -> {}
        }
        return schema;
    }
}
