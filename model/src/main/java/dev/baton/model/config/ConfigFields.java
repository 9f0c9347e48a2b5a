package dev.baton.model.config;

import dev.baton.model.ModelException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Typed reads of one JSON object; every failure names the file, the field and the value. */
final class ConfigFields {
    private final JsonNode node;
    private final String origin;
    private final String prefix;

    ConfigFields(JsonNode node, String origin, String prefix) {
        this.node = node;
        this.origin = origin;
        this.prefix = prefix;
    }

    /** The field, or null when it is absent or JSON null. */
    @Nullable
    JsonNode find(String name) {
        JsonNode value = node.get(name);
        return value == null || value.isNull() ? null : value;
    }

    @Nullable
    ConfigFields object(String name) {
        JsonNode value = find(name);
        if (value == null) {
            return null;
        }
        if (!value.isObject()) {
            throw mistyped(name, value, "an object");
        }
        return new ConfigFields(value, origin, prefix + name + ".");
    }

    int positive(String name) {
        return positive(name, 0);
    }

    /** A positive integer; {@code fallback} when absent, which is an error when that is 0. */
    int positive(String name, int fallback) {
        int value = integer(name, fallback == 0 ? Integer.MIN_VALUE : fallback);
        if (value == Integer.MIN_VALUE) {
            throw missing(name, "a positive integer");
        }
        if (value <= 0) {
            throw invalid(name, value, "a positive integer");
        }
        return value;
    }

    int integer(String name, int fallback) {
        JsonNode value = find(name);
        if (value == null) {
            return fallback;
        }
        if (!value.isIntegralNumber() || !value.canConvertToInt()) {
            throw mistyped(name, value, "an integer");
        }
        return value.intValue();
    }

    @Nullable
    Integer optionalInteger(String name) {
        return find(name) == null ? null : Integer.valueOf(integer(name, 0));
    }

    double number(String name) {
        Double value = optionalNumber(name);
        if (value == null) {
            throw missing(name, "a number");
        }
        return value;
    }

    double number(String name, double fallback) {
        Double value = optionalNumber(name);
        return value == null ? fallback : value;
    }

    /** A positive finite number, or {@code fallback} when absent. */
    double positiveNumber(String name, double fallback) {
        double value = number(name, fallback);
        if (!(value > 0) || Double.isInfinite(value)) {
            throw invalid(name, value, "a positive number");
        }
        return value;
    }

    @Nullable
    Double optionalNumber(String name) {
        JsonNode value = find(name);
        if (value == null) {
            return null;
        }
        if (!value.isNumber()) {
            throw mistyped(name, value, "a number");
        }
        return value.doubleValue();
    }

    boolean bool(String name, boolean fallback) {
        JsonNode value = find(name);
        if (value == null) {
            return fallback;
        }
        if (!value.isBoolean()) {
            throw mistyped(name, value, "true or false");
        }
        return value.booleanValue();
    }

    @Nullable
    String string(String name) {
        JsonNode value = find(name);
        if (value == null) {
            return null;
        }
        if (!value.isString()) {
            throw mistyped(name, value, "a string");
        }
        return value.stringValue();
    }

    /** An integer or a list of integers; empty when absent. */
    List<Integer> integers(String name) {
        JsonNode value = find(name);
        List<Integer> integers = new ArrayList<>();
        if (value == null) {
            return integers;
        }
        for (JsonNode element : value.isArray() ? value : List.of(value)) {
            if (!element.isIntegralNumber() || !element.canConvertToInt()) {
                throw mistyped(name, value, "an integer or a list of integers");
            }
            integers.add(element.intValue());
        }
        return integers;
    }

    ModelException missing(String name, String expected) {
        return new ModelException(
                ModelException.Code.INVALID_CONFIG,
                origin + ": field \"" + prefix + name + "\" is missing; it must be " + expected);
    }

    ModelException mistyped(String name, JsonNode value, String expected) {
        return invalid(name, value, expected);
    }

    ModelException invalid(String name, Object value, String expected) {
        return new ModelException(
                ModelException.Code.INVALID_CONFIG,
                origin + ": field \"" + prefix + name + "\" is " + value + "; it must be " + expected);
    }

    ModelException unsupported(String name, Object value, String supported) {
        return new ModelException(
                ModelException.Code.UNSUPPORTED,
                origin + ": \"" + prefix + name + "\" is " + value + ", which is not supported; supported: "
                        + supported);
    }
}
