package dev.baton.model.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Python's text conversions: str, repr, white space, lines and code point positions. */
final class PythonText {
    /** What {@code str.isspace} and {@code \s} take for white space, as the inside of a regex class. */
    static final String SPACE_CLASS =
            "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

    private PythonText() {}

    static boolean isSpace(int c) {
        return (c >= 9 && c <= 13)
                || (c >= 0x1C && c <= 0x20)
                || c == 0x85
                || c == 0xA0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200A)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202F
                || c == 0x205F
                || c == 0x3000;
    }

    static String stripLeft(String text) {
        int from = 0;
        while (from < text.length() && isSpace(text.charAt(from))) {
            from++;
        }
        return text.substring(from);
    }

    static String stripRight(String text) {
        int to = text.length();
        while (to > 0 && isSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.substring(0, to);
    }

    /** Strips any of {@code characters} (white space when null) from the sides asked for. */
    static String strip(String text, @Nullable String characters, boolean left, boolean right) {
        if (characters == null) {
            String result = left ? stripLeft(text) : text;
            return right ? stripRight(result) : result;
        }
        int from = 0;
        int to = text.length();
        while (left && from < to && characters.indexOf(text.codePointAt(from)) >= 0) {
            from += Character.charCount(text.codePointAt(from));
        }
        while (right && to > from && characters.indexOf(text.codePointBefore(to)) >= 0) {
            to -= Character.charCount(text.codePointBefore(to));
        }
        return text.substring(from, to);
    }

    static List<String> splitLines(String text, boolean keepEnds) {
        List<String> lines = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if ((c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029) {
                int end = c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n' ? i + 2 : i + 1;
                lines.add(text.substring(from, keepEnds ? end : i));
                i = end - 1;
                from = end;
            }
        }
        if (from < text.length()) {
            lines.add(text.substring(from));
        }
        return lines;
    }

    /** Orders by code points, not by UTF-16 units. */
    static int compare(String left, String right) {
        int length = Math.min(left.length(), right.length());
        for (int i = 0; i < length; i++) {
            char a = left.charAt(i);
            char b = right.charAt(i);
            if (a != b) {
                boolean aSurrogate = Character.isSurrogate(a);
                return aSurrogate != Character.isSurrogate(b) ? (aSurrogate ? 1 : -1) : Character.compare(a, b);
            }
        }
        return Integer.compare(left.length(), right.length());
    }

    /** {@code str(value)}. */
    static String str(@Nullable Object value) {
        return switch (value) {
            case String text -> text;
            case Markup markup -> markup.text();
            case Undefined undefined -> "";
            case null, default -> repr(value);
        };
    }

    /** {@code repr(value)}. */
    static String repr(@Nullable Object value) {
        return switch (value) {
            case null -> "None";
            case Boolean bool -> bool ? "True" : "False";
            case Double number -> decimal(number);
            case String text -> quoted(text);
            case Markup markup -> "Markup(" + quoted(markup.text()) + ")";
            case Undefined undefined -> "Undefined";
            case Range range -> range.toString();
            case Tuple tuple ->
                tuple.size() == 1 ? "(" + repr(tuple.get(0)) + ",)" : joined(tuple.iterator(), "(", ")");
            case List<?> list -> joined(list.iterator(), "[", "]");
            case Map<?, ?> map -> dict(map);
            case Iteration.View view ->
                view.typeName() + "(" + joined(view.content().iterator(), "[", "]") + ")";
            case Iteration.Once once -> "<" + once.typeName() + " object>";
            case Namespace namespace -> "<Namespace " + dict(namespace.attributes()) + ">";
            case LoopContext loop -> "<LoopContext " + loop.index() + "/" + loop.length() + ">";
            case Macro macro -> "<Macro " + quoted(macro.name()) + ">";
            case Callable callable -> "<function>";
            default -> value.toString();
        };
    }

    private static String joined(Iterator<?> items, String open, String close) {
        StringBuilder out = new StringBuilder(open);
        while (items.hasNext()) {
            out.append(repr(items.next()));
            if (items.hasNext()) {
                out.append(", ");
            }
        }
        return out.append(close).toString();
    }

    private static String dict(Map<?, ?> map) {
        StringBuilder out = new StringBuilder("{");
        map.forEach((key, value) -> {
            if (out.length() > 1) {
                out.append(", ");
            }
            out.append(repr(key)).append(": ").append(repr(value));
        });
        return out.append('}').toString();
    }

    private static String quoted(String text) {
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        StringBuilder out = new StringBuilder().append(quote);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(quote);
                    } else if (printable(c)) {
                        out.appendCodePoint(c);
                    } else if (c <= 0xFF) {
                        out.append("\\x%02x".formatted(c));
                    } else {
                        out.append((c <= 0xFFFF ? "\\u%04x" : "\\U%08x").formatted(c));
                    }
                }
            }
        });
        return out.append(quote).toString();
    }

    static boolean printable(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> false;
            case Character.SPACE_SEPARATOR -> c == ' ';
            default -> true;
        };
    }

    /** A float as repr writes it: shortest digits, an exponent below 1e-4 and from 1e16. */
    static String decimal(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        java.math.BigDecimal shortest = new java.math.BigDecimal(Double.toString(Math.abs(value))).stripTrailingZeros();
        String digits = shortest.unscaledValue().toString();
        int point = digits.length() - shortest.scale();
        String sign = value < 0 ? "-" : "";
        if (point > 16 || point < -3) {
            int exponent = point - 1;
            String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
            return sign + digits.charAt(0) + fraction + "e" + (exponent < 0 ? "-" : "+")
                    + "%02d".formatted(Math.abs(exponent));
        }
        if (point <= 0) {
            return sign + "0." + "0".repeat(-point) + digits;
        }
        if (point >= digits.length()) {
            return sign + digits + "0".repeat(point - digits.length()) + ".0";
        }
        return sign + digits.substring(0, point) + "." + digits.substring(point);
    }
}
