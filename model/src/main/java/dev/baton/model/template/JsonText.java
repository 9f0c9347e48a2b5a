package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code tojson} as transformers defines it: {@code json.dumps} without escaping for HTML. */
final class JsonText {
    private final boolean ascii;
    private final boolean sortKeys;
    private final @Nullable String indent;
    private final String itemSeparator;
    private final String keySeparator;
    private final StringBuilder out = new StringBuilder();

    private JsonText(
            boolean ascii, boolean sortKeys, @Nullable String indent, String itemSeparator, String keySeparator) {
        this.ascii = ascii;
        this.sortKeys = sortKeys;
        this.indent = indent;
        this.itemSeparator = itemSeparator;
        this.keySeparator = keySeparator;
    }

    static String filter(@Nullable Object value, Arguments arguments) {
        Arguments.Bound bound = arguments.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        String indent = switch (bound.or(1, null)) {
            case null -> null;
            case String text -> text;
            case Markup markup -> markup.text();
            case Object width -> " ".repeat((int) Math.clamp(Arithmetic.toLong(width), 0L, 1000L));
        };
        String itemSeparator = indent == null ? ", " : ",";
        String keySeparator = ": ";
        if (bound.or(2, null) != null) {
            List<@Nullable Object> separators = Values.list(bound.value(2));
            if (separators.size() != 2) {
                throw TemplateFault.value("separators must be two strings");
            }
            itemSeparator = PythonText.str(separators.get(0));
            keySeparator = PythonText.str(separators.get(1));
        }
        JsonText text = new JsonText(bound.truth(0, false), bound.truth(3, false), indent, itemSeparator, keySeparator);
        text.write(value, 0);
        return text.out.toString();
    }

    private void write(@Nullable Object value, int depth) {
        switch (value) {
            case null -> out.append("null");
            case Boolean bool -> out.append(bool ? "true" : "false");
            case Double number -> out.append(number(number));
            case Number number -> out.append(number);
            case String text -> quote(text);
            case Markup markup -> quote(markup.text());
            case Range range -> throw notSerializable(range);
            case List<?> list -> list(list, depth);
            case Map<?, ?> map -> map(map, depth);
            default -> throw notSerializable(value);
        }
    }

    private static TemplateFault notSerializable(Object value) {
        return TemplateFault.type("Object of type " + Values.typeName(value) + " is not JSON serializable");
    }

    private static String number(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "Infinity" : "-Infinity";
        }
        return PythonText.decimal(value);
    }

    private void list(List<?> list, int depth) {
        if (list.isEmpty()) {
            out.append("[]");
            return;
        }
        out.append('[');
        Iterator<?> items = list.iterator();
        while (items.hasNext()) {
            line(depth + 1);
            write(items.next(), depth + 1);
            out.append(items.hasNext() ? itemSeparator : "");
        }
        line(depth);
        out.append(']');
    }

    private void map(Map<?, ?> map, int depth) {
        if (map.isEmpty()) {
            out.append("{}");
            return;
        }
        out.append('{');
        List<Object> keys = new ArrayList<>(map.keySet());
        if (sortKeys) {
            keys.sort(Values::compare);
        }
        Iterator<Object> rest = keys.iterator();
        while (rest.hasNext()) {
            Object key = rest.next();
            line(depth + 1);
            quote(keyText(key));
            out.append(keySeparator);
            write(map.get(key), depth + 1);
            out.append(rest.hasNext() ? itemSeparator : "");
        }
        line(depth);
        out.append('}');
    }

    private static String keyText(@Nullable Object key) {
        return switch (key) {
            case null -> "null";
            case String text -> text;
            case Boolean bool -> bool ? "true" : "false";
            case Double number -> number(number);
            case Number number -> number.toString();
            default ->
                throw TemplateFault.type("keys must be str, int, float, bool or None, not " + Values.typeName(key));
        };
    }

    private void line(int depth) {
        if (indent != null) {
            out.append('\n').append(indent.repeat(depth));
        }
    }

    private void quote(String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\f' -> out.append("\\f");
                case '\b' -> out.append("\\b");
                default -> {
                    if (c < 0x20 || (ascii && c > 0x7E)) {
                        out.append("\\u%04x".formatted((int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
