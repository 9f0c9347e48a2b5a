package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code str.translate}, {@code str.maketrans} and {@code str.format_map}. */
final class StringTables {
    private StringTables() {}

    /** Each character's entry, looked up by its number: another number, a text, or None for nothing. */
    static Object translate(String text, Arguments arguments) {
        Object table = arguments.bind("translate", 1, "table").value(0);
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            Object entry =
                    table instanceof Map<?, ?> map && map.containsKey((long) c) ? map.get((long) c) : (Long) (long) c;
            switch (entry) {
                case null -> {}
                case Long code -> out.appendCodePoint(Math.toIntExact(code));
                case Object other -> {
                    String replacement = Values.asString(other);
                    if (replacement == null) {
                        throw TemplateFault.type("character mapping must return integer, None or str");
                    }
                    out.append(replacement);
                }
            }
        });
        return out.toString();
    }

    /** One mapping of characters or their numbers; or characters, as many to stand for them, and ones to leave out. */
    static Object makeTable(String text, Arguments arguments) {
        Bound bound = arguments.bind("maketrans", 1, "x", "y", "z");
        Map<@Nullable Object, @Nullable Object> table = new LinkedHashMap<>();
        if (!bound.has(1)) {
            if (!(bound.value(0) instanceof Map<?, ?> map)) {
                throw TemplateFault.type("if you give only one argument to maketrans it must be a dict");
            }
            map.forEach((key, value) -> table.put(number(key), value));
            return table;
        }
        int[] from = bound.text(0).codePoints().toArray();
        int[] to = bound.text(1).codePoints().toArray();
        if (from.length != to.length) {
            throw TemplateFault.value("the first two maketrans arguments must have equal length");
        }
        for (int i = 0; i < from.length; i++) {
            table.put((long) from[i], (long) to[i]);
        }
        if (bound.has(2)) {
            bound.text(2).codePoints().forEach(c -> table.put((long) c, null));
        }
        return table;
    }

    private static @Nullable Object number(@Nullable Object key) {
        String text = Values.asString(key);
        if (text == null) {
            return key;
        }
        if (text.codePointCount(0, text.length()) != 1) {
            throw TemplateFault.value("string keys in translate table must be of length 1");
        }
        return (long) text.codePointAt(0);
    }

    static Object formatMap(String text, Arguments arguments) {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        if (arguments.bind("format_map", 1, "mapping").value(0) instanceof Map<?, ?> map) {
            map.forEach((key, value) -> values.put(PythonText.str(key), value));
        }
        return BraceFormat.format(text, new Arguments(java.util.List.of(), values));
    }
}
