package dev.baton.model.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The filter {@code pprint}: a value as Python's pprint writes it, in lines of 80, keys in order. */
final class PrettyPrint {
    private static final int WIDTH = 80;
    private static final Pattern WORDS =
            Pattern.compile("[^" + PythonText.SPACE_CLASS + "]*[" + PythonText.SPACE_CLASS + "]*");

    private final StringBuilder out = new StringBuilder();

    private PrettyPrint() {}

    static Object filter(@Nullable Object value, Arguments arguments) {
        arguments.bind("pprint", 0);
        PrettyPrint print = new PrettyPrint();
        print.write(sorted(value), 0, 0, true);
        return print.out.toString();
    }

    private static @Nullable Object sorted(@Nullable Object value) {
        if (value instanceof Map<?, ?> map) {
            List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
            entries.sort((a, b) -> order(a.getKey(), b.getKey()));
            Map<@Nullable Object, @Nullable Object> copy = new LinkedHashMap<>();
            entries.forEach(entry -> copy.put(entry.getKey(), sorted(entry.getValue())));
            return copy;
        }
        if (value instanceof Tuple tuple) {
            return new Tuple(sortedItems(tuple));
        }
        return value instanceof List<?> list ? sortedItems(list) : value;
    }

    private static List<@Nullable Object> sortedItems(List<?> items) {
        List<@Nullable Object> copy = new ArrayList<>(items.size());
        items.forEach(item -> copy.add(sorted(item)));
        return copy;
    }

    /** By value, or by type where two cannot be compared. */
    private static int order(@Nullable Object left, @Nullable Object right) {
        try {
            return Values.compare(left, right);
        } catch (TemplateFault e) {
            return Values.typeName(left).compareTo(Values.typeName(right));
        }
    }

    /**
     * @param indent columns before the value
     * @param allowance columns that must stay free behind it
     */
    private void write(@Nullable Object value, int indent, int allowance, boolean outermost) {
        String text = PythonText.repr(value);
        if (length(text) <= WIDTH - indent - allowance) {
            out.append(text);
            return;
        }
        switch (value) {
            case Map<?, ?> map -> dict(map, indent, allowance);
            case Tuple tuple -> {
                String close = tuple.size() == 1 ? ",)" : ")";
                out.append('(');
                items(tuple, indent, allowance + close.length());
                out.append(close);
            }
            case List<?> list -> {
                out.append('[');
                items(list, indent, allowance + 1);
                out.append(']');
            }
            case String string -> string(string, indent, allowance, outermost);
            case null, default -> out.append(text);
        }
    }

    private void dict(Map<?, ?> map, int indent, int allowance) {
        out.append('{');
        int left = map.size();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            String key = PythonText.repr(entry.getKey());
            out.append(key).append(": ");
            left--;
            write(entry.getValue(), indent + 1 + length(key) + 2, left == 0 ? allowance + 1 : 1, false);
            if (left > 0) {
                newLine(",", indent + 1);
            }
        }
        out.append('}');
    }

    private void items(List<?> items, int indent, int allowance) {
        for (int i = 0; i < items.size(); i++) {
            if (i > 0) {
                newLine(",", indent + 1);
            }
            write(items.get(i), indent + 1, i == items.size() - 1 ? allowance : 1, false);
        }
    }

    private void newLine(String before, int indent) {
        out.append(before).append('\n').append(" ".repeat(indent));
    }

    /** A long string is written as several, which Python reads as one: its lines, and long ones in pieces at spaces. */
    private void string(String text, int indentBefore, int allowanceBehind, boolean outermost) {
        int indent = indentBefore + (outermost ? 1 : 0);
        int allowance = allowanceBehind + (outermost ? 1 : 0);
        int width = WIDTH - indent;
        List<String> pieces = new ArrayList<>();
        List<String> lines = PythonText.splitLines(text, true);
        for (int i = 0; i < lines.size(); i++) {
            boolean last = i == lines.size() - 1;
            String whole = PythonText.repr(lines.get(i));
            if (length(whole) <= (last ? width - allowance : width)) {
                pieces.add(whole);
            } else {
                line(lines.get(i), width, last ? allowance : 0, pieces);
            }
        }
        if (pieces.size() == 1) {
            out.append(pieces.getFirst());
            return;
        }
        out.append(outermost ? "(" : "");
        for (int i = 0; i < pieces.size(); i++) {
            if (i > 0) {
                newLine("", indent);
            }
            out.append(pieces.get(i));
        }
        out.append(outermost ? ")" : "");
    }

    private static void line(String line, int width, int allowance, List<String> pieces) {
        List<String> words = new ArrayList<>();
        Matcher matcher = WORDS.matcher(line);
        while (matcher.find() && !matcher.group().isEmpty()) {
            words.add(matcher.group());
        }
        String current = "";
        for (int i = 0; i < words.size(); i++) {
            String candidate = current + words.get(i);
            int most = i == words.size() - 1 ? width - allowance : width;
            if (length(PythonText.repr(candidate)) > most) {
                if (!current.isEmpty()) {
                    pieces.add(PythonText.repr(current));
                }
                current = words.get(i);
            } else {
                current = candidate;
            }
        }
        if (!current.isEmpty()) {
            pieces.add(PythonText.repr(current));
        }
    }

    private static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
