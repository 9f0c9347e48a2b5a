package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Collections;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Filters on numbers and on any value. */
final class ValueFilters {
    private static final String[] DECIMAL = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    private static final String[] BINARY = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};

    private ValueFilters() {}

    static void register(Map<String, Filters.Filter> filters) {
        filters.put("default", ValueFilters::orElse);
        filters.put("d", ValueFilters::orElse);
        filters.put("attr", ValueFilters::attribute);
        filters.put("abs", (value, a) -> absolute(value));
        filters.put("int", ValueFilters::integer);
        filters.put("float", ValueFilters::decimal);
        filters.put("round", ValueFilters::round);
        filters.put("filesizeformat", ValueFilters::fileSize);
    }

    private static @Nullable Object orElse(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("default", 0, "default_value", "boolean");
        boolean replace = value instanceof Undefined || (bound.truth(1, false) && !Values.truth(value));
        return replace ? bound.or(0, "") : value;
    }

    private static @Nullable Object attribute(@Nullable Object value, Arguments arguments) {
        String name = PythonText.str(arguments.bind("attr", 1, "name").value(0));
        if (value instanceof Undefined undefined) {
            throw undefined.fault();
        }
        // Unlike a dot, attr never looks at elements.
        if (value instanceof Map<?, ?> map) {
            Object method = CollectionMethods.ofDict(map, name);
            return method == Scope.MISSING ? Undefined.member(value, name) : method;
        }
        return Attributes.attribute(value, name);
    }

    private static Object absolute(@Nullable Object value) {
        return switch (value) {
            case Double number -> Math.abs(number);
            case Long number -> Math.absExact(number);
            case Boolean bool -> bool ? 1L : 0L;
            case Undefined undefined -> throw undefined.fault();
            case null, default ->
                throw TemplateFault.type("bad operand type for abs(): '" + Values.typeName(value) + "'");
        };
    }

    private static @Nullable Object integer(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("int", 0, "default", "base");
        Object fallback = bound.or(0, 0L);
        String text = Values.asString(value);
        if (text != null) {
            Long parsed = parseInteger(text, (int) Math.clamp(bound.integer(1, 10), 0L, 36L));
            if (parsed != null) {
                return parsed;
            }
            Double number = parseDecimal(text);
            return number == null || number.isNaN() || number.isInfinite() ? fallback : (Object) number.longValue();
        }
        return switch (value) {
            case Undefined undefined -> throw undefined.fault();
            case Double number -> number.isNaN() || number.isInfinite() ? fallback : (Object) number.longValue();
            case Long number -> number;
            case Boolean bool -> bool ? 1L : 0L;
            case null, default -> fallback;
        };
    }

    private static @Nullable Long parseInteger(String text, int base) {
        String digits = PythonText.strip(text, null, true, true).replaceAll("(?<=[0-9a-zA-Z])_(?=[0-9a-zA-Z])", "");
        boolean negative = digits.startsWith("-");
        if (negative || digits.startsWith("+")) {
            digits = digits.substring(1);
        }
        String lower = digits.toLowerCase(java.util.Locale.ROOT);
        int radix = base;
        for (Map.Entry<String, Integer> prefix :
                Map.of("0x", 16, "0o", 8, "0b", 2).entrySet()) {
            if (lower.startsWith(prefix.getKey()) && (base == prefix.getValue() || base == 0)) {
                radix = prefix.getValue();
                lower = lower.substring(2);
                break;
            }
        }
        if (lower.isEmpty() || lower.startsWith("-") || lower.startsWith("+")) {
            return null;
        }
        try {
            return Long.valueOf((negative ? "-" : "") + lower, radix == 0 ? 10 : radix);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static @Nullable Double parseDecimal(String text) {
        String stripped = PythonText.strip(text, null, true, true);
        String lower = stripped.toLowerCase(java.util.Locale.ROOT);
        String unsigned = lower.startsWith("-") || lower.startsWith("+") ? lower.substring(1) : lower;
        double sign = lower.startsWith("-") ? -1 : 1;
        switch (unsigned) {
            case "inf", "infinity" -> {
                return sign * Double.POSITIVE_INFINITY;
            }
            case "nan" -> {
                return Double.NaN;
            }
            default -> {}
        }
        if (!unsigned.matches("(\\d(_?\\d)*\\.?(\\d(_?\\d)*)?|\\.\\d(_?\\d)*)(e[+-]?\\d+)?")) {
            return null;
        }
        return Double.valueOf(stripped.replace("_", ""));
    }

    private static @Nullable Object decimal(@Nullable Object value, Arguments arguments) {
        Object fallback = arguments.bind("float", 0, "default").or(0, 0.0);
        String text = Values.asString(value);
        if (text != null) {
            Double parsed = parseDecimal(text);
            return parsed == null ? fallback : parsed;
        }
        return switch (value) {
            case Undefined undefined -> throw undefined.fault();
            case null -> fallback;
            default -> Values.number(value) ? (Object) Arithmetic.toDouble(value) : fallback;
        };
    }

    private static Object round(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("round", 0, "precision", "method");
        int precision = (int) Math.clamp(bound.integer(0, 0), -300L, 300L);
        String method = bound.has(1) ? bound.text(1) : "common";
        if (value instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (value == null || !Values.number(value)) {
            throw TemplateFault.type("type " + Values.typeName(value) + " doesn't define __round__ method");
        }
        double number = Arithmetic.toDouble(value);
        switch (method) {
            case "common" -> {
                BigDecimal exact =
                        value instanceof Double ? new BigDecimal(number) : new BigDecimal(Arithmetic.toLong(value));
                BigDecimal rounded = exact.setScale(precision, RoundingMode.HALF_EVEN);
                return value instanceof Double ? (Object) rounded.doubleValue() : (Object) rounded.longValue();
            }
            case "ceil" -> {
                return Math.ceil(number * Math.pow(10, precision)) / Math.pow(10, precision);
            }
            case "floor" -> {
                return Math.floor(number * Math.pow(10, precision)) / Math.pow(10, precision);
            }
            default -> throw new TemplateFault("FilterArgumentError", "method must be common, ceil or floor");
        }
    }

    private static Object fileSize(@Nullable Object value, Arguments arguments) {
        boolean binary = arguments.bind("filesizeformat", 0, "binary").truth(0, false);
        if (!(decimal(value, new Arguments(Collections.singletonList(null), Map.of())) instanceof Double bytes)) {
            if (Values.asString(value) != null) {
                throw TemplateFault.value("could not convert string to float: " + PythonText.repr(value));
            }
            throw TemplateFault.type(
                    "float() argument must be a string or a real number, not '" + Values.typeName(value) + "'");
        }
        int base = binary ? 1024 : 1000;
        if (bytes == 1) {
            return "1 Byte";
        }
        if (bytes < base) {
            return bytes.longValue() + " Bytes";
        }
        String[] names = binary ? BINARY : DECIMAL;
        double unit = (double) base * base;
        for (int i = 0; ; i++) {
            if (bytes < unit || i == names.length - 1) {
                return NumberFormat.format(base * bytes / unit, 'f', 1, false) + " " + names[i];
            }
            unit *= base;
        }
    }
}
