package dev.baton.model.template;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code str.format}: replacement fields with attributes, elements, conversions and the common format specifications. */
final class BraceFormat {
    private static final Pattern PATH = Pattern.compile("\\.([^.\\[]+)|\\[([^\\]]*)\\]");
    private static final Pattern SPECIFICATION =
            Pattern.compile("(?s)(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\\d+)?([,_])?(?:\\.(\\d+))?([bcdeEfFgGnosxX%])?");

    private final Arguments arguments;
    private int automatic;

    private BraceFormat(Arguments arguments) {
        this.arguments = arguments;
    }

    static String format(String text, Arguments arguments) {
        return new BraceFormat(arguments).run(text, 0);
    }

    private String run(String text, int depth) {
        if (depth > 2) {
            throw TemplateFault.value("Max string recursion exceeded");
        }
        StringBuilder out = new StringBuilder();
        int at = 0;
        while (at < text.length()) {
            char c = text.charAt(at);
            if ((c == '{' || c == '}') && at + 1 < text.length() && text.charAt(at + 1) == c) {
                out.append(c);
                at += 2;
            } else if (c == '}') {
                throw TemplateFault.value("Single '}' encountered in format string");
            } else if (c == '{') {
                int end = fieldEnd(text, at);
                out.append(field(text.substring(at + 1, end), depth));
                at = end + 1;
            } else {
                out.append(c);
                at++;
            }
        }
        return out.toString();
    }

    private static int fieldEnd(String text, int at) {
        int open = 0;
        for (int i = at; i < text.length(); i++) {
            if (text.charAt(i) == '{') {
                open++;
            } else if (text.charAt(i) == '}' && --open == 0) {
                return i;
            }
        }
        throw TemplateFault.value("expected '}' before end of string");
    }

    private String field(String field, int depth) {
        int colon = field.indexOf(':');
        String head = colon < 0 ? field : field.substring(0, colon);
        String specification = colon < 0 ? "" : field.substring(colon + 1);
        int bang = head.indexOf('!');
        String path = bang < 0 ? head : head.substring(0, bang);
        Object value = resolve(path);
        if (bang >= 0) {
            value = switch (head.substring(bang + 1)) {
                case "s" -> PythonText.str(value);
                case "r", "a" -> PythonText.repr(value);
                default -> throw TemplateFault.value("Unknown conversion specifier");
            };
        }
        return specified(value, specification.indexOf('{') < 0 ? specification : run(specification, depth + 1));
    }

    private @Nullable Object resolve(String path) {
        Matcher parts = PATH.matcher(path);
        int at = parts.find() ? parts.start() : path.length();
        Object value = argument(path.substring(0, at));
        while (at < path.length()) {
            if (!parts.find(at) || parts.start() != at) {
                throw TemplateFault.value("Empty attribute in format string");
            }
            String element = parts.group(2);
            value = element == null
                    ? Attributes.attribute(value, parts.group(1))
                    : Attributes.item(value, element.matches("\\d+") ? (Object) Long.valueOf(element) : element);
            at = parts.end();
        }
        return value;
    }

    private @Nullable Object argument(String name) {
        if (name.isEmpty() || name.matches("\\d+")) {
            int index = name.isEmpty() ? automatic++ : Integer.parseInt(name);
            if (index >= arguments.positional().size()) {
                throw new TemplateFault(
                        "IndexError", "Replacement index " + index + " out of range for positional args tuple");
            }
            return arguments.positional().get(index);
        }
        if (!arguments.keyword().containsKey(name)) {
            throw new TemplateFault("KeyError", PythonText.repr(name));
        }
        return arguments.keyword().get(name);
    }

    private static String specified(@Nullable Object value, String specification) {
        if (specification.isEmpty()) {
            return PythonText.str(value);
        }
        Matcher matcher = SPECIFICATION.matcher(specification);
        if (!matcher.matches()) {
            throw TemplateFault.value("Invalid format specifier '" + specification + "'");
        }
        boolean number = value != null && Values.number(value) && !(value instanceof Boolean);
        if (!number && (value instanceof java.util.List<?> || value instanceof Map<?, ?> || value == null)) {
            throw TemplateFault.type("unsupported format string passed to " + Values.typeName(value) + ".__format__");
        }
        String body = value != null && number ? numeric(value, matcher) : textual(value, matcher);
        int width = matcher.group(6) == null ? 0 : Integer.parseInt(matcher.group(6));
        boolean zero = matcher.group(5) != null;
        String fill = matcher.group(1) != null ? matcher.group(1) : zero ? "0" : " ";
        String align = matcher.group(2) != null ? matcher.group(2) : zero && number ? "=" : number ? ">" : "<";
        if (align.equals("=")) {
            int sign = body.startsWith("-") || body.startsWith("+") || body.startsWith(" ") ? 1 : 0;
            return body.substring(0, sign) + StringMethods.pad(body.substring(sign), width - sign, fill, "rjust");
        }
        if (align.equals("^")) {
            int missing = Math.max(width - body.codePointCount(0, body.length()), 0);
            return fill.repeat(missing / 2) + body + fill.repeat(missing - missing / 2);
        }
        return StringMethods.pad(body, width, fill, align.equals(">") ? "rjust" : "ljust");
    }

    private static String textual(@Nullable Object value, Matcher matcher) {
        String kind = matcher.group(9);
        if (kind != null && !kind.equals("s")) {
            throw TemplateFault.value(
                    "Unknown format code '" + kind + "' for object of type '" + Values.typeName(value) + "'");
        }
        String text = PythonText.str(value);
        int precision = matcher.group(8) == null ? Integer.MAX_VALUE : Integer.parseInt(matcher.group(8));
        return precision >= text.codePointCount(0, text.length())
                ? text
                : text.substring(0, text.offsetByCodePoints(0, precision));
    }

    private static String numeric(Object value, Matcher matcher) {
        String kind = matcher.group(9) == null ? "" : matcher.group(9);
        int precision = matcher.group(8) == null ? -1 : Integer.parseInt(matcher.group(8));
        String text = switch (kind) {
            case "b", "o", "x", "X" -> {
                int radix = kind.equals("b") ? 2 : kind.equals("o") ? 8 : 16;
                String digits = Long.toString(Arithmetic.toLong(value), radix);
                String cased = kind.equals("X") ? digits.toUpperCase(java.util.Locale.ROOT) : digits;
                yield matcher.group(4) == null ? cased : prefixed(cased, "0" + kind);
            }
            case "d", "n" -> Long.toString(integer(value, kind));
            case "c" -> Character.toString((int) integer(value, kind));
            case "%" ->
                NumberFormat.format(Arithmetic.toDouble(value) * 100, 'f', precision < 0 ? 6 : precision, false) + "%";
            case "" ->
                value instanceof Double number && precision >= 0
                        ? NumberFormat.format(number, 'g', precision, false)
                        : PythonText.str(value);
            default ->
                NumberFormat.format(Arithmetic.toDouble(value), kind.charAt(0), precision < 0 ? 6 : precision, false);
        };
        if (matcher.group(7) != null) {
            text = grouped(text, matcher.group(7));
        }
        String sign = matcher.group(3);
        return text.startsWith("-") || sign == null || sign.equals("-") ? text : sign + text;
    }

    private static String prefixed(String digits, String prefix) {
        return digits.startsWith("-") ? "-" + prefix + digits.substring(1) : prefix + digits;
    }

    private static long integer(Object value, String kind) {
        if (value instanceof Double) {
            throw TemplateFault.value("Unknown format code '" + kind + "' for object of type 'float'");
        }
        return Arithmetic.toLong(value);
    }

    private static String grouped(String text, String separator) {
        int from = text.startsWith("-") ? 1 : 0;
        int end = from;
        while (end < text.length() && Character.isDigit(text.charAt(end))) {
            end++;
        }
        StringBuilder out = new StringBuilder(text);
        for (int at = end - 3; at > from; at -= 3) {
            out.insert(at, separator);
        }
        return out.toString();
    }
}
