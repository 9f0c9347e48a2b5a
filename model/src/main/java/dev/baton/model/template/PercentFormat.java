package dev.baton.model.template;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code text % values}: printf-style formatting. */
final class PercentFormat {
    private static final Pattern SPECIFIER =
            Pattern.compile("(?s)%(?:\\(([^)]*)\\))?([#0 +-]*)(\\*|\\d+)?(?:\\.(\\*|\\d+)?)?[hlL]?(.)?");

    private final List<?> values;
    private final @Nullable Object single;
    private int next;

    private PercentFormat(@Nullable Object values) {
        this.single = values;
        this.values = values instanceof Tuple tuple ? tuple : List.of();
    }

    static String format(String text, @Nullable Object values) {
        return new PercentFormat(values).run(text);
    }

    private String run(String text) {
        StringBuilder out = new StringBuilder();
        Matcher matcher = SPECIFIER.matcher(text);
        int at = 0;
        while (matcher.find(at)) {
            out.append(text, at, matcher.start());
            at = matcher.end();
            String conversion = matcher.group(5);
            if (conversion == null) {
                throw TemplateFault.value("incomplete format");
            }
            out.append(conversion.equals("%") ? "%" : one(matcher, conversion.charAt(0)));
        }
        // Whatever has elements may be left over, as a mapping may.
        boolean used = single instanceof Tuple
                ? next == values.size()
                : next > 0 || single instanceof Map<?, ?> || single instanceof List<?> || single instanceof Undefined;
        if (!used) {
            throw TemplateFault.type("not all arguments converted during string formatting");
        }
        return out.append(text.substring(at)).toString();
    }

    private String one(Matcher matcher, char conversion) {
        String name = matcher.group(1);
        String flags = matcher.group(2);
        long width = number(matcher.group(3), -1);
        boolean point = matcher.group()
                        .indexOf(
                                '.',
                                matcher.group(1) == null ? 0 : matcher.group(1).length() + 2)
                >= 0;
        long precision = point ? number(matcher.group(4), 0) : -1;
        if (width < -1) {
            throw TemplateFault.unsupported("a negative width in a format");
        }
        Object value = name != null ? named(name) : positional();
        String body = convert(value, conversion, flags, (int) Math.min(precision, 1 << 16));
        boolean numeric = "diuxXofFeEgG".indexOf(conversion) >= 0;
        long missing = Math.min(width, 1 << 20) - body.codePointCount(0, body.length());
        if (missing <= 0) {
            return body;
        }
        if (flags.indexOf('-') >= 0) {
            return body + " ".repeat((int) missing);
        }
        if (flags.indexOf('0') >= 0 && numeric) {
            int sign = body.startsWith("-") || body.startsWith("+") || body.startsWith(" ") ? 1 : 0;
            return body.substring(0, sign) + "0".repeat((int) missing) + body.substring(sign);
        }
        return " ".repeat((int) missing) + body;
    }

    private long number(@Nullable String text, long fallback) {
        if (text == null) {
            return fallback;
        }
        return text.equals("*") ? integer(positional()) : Long.parseLong(text);
    }

    private @Nullable Object named(String name) {
        if (!(single instanceof Map<?, ?> map)) {
            throw TemplateFault.type("format requires a mapping");
        }
        if (!map.containsKey(name)) {
            throw new TemplateFault("KeyError", PythonText.repr(name));
        }
        return map.get(name);
    }

    private @Nullable Object positional() {
        if (single instanceof Tuple) {
            if (next >= values.size()) {
                throw TemplateFault.type("not enough arguments for format string");
            }
            return values.get(next++);
        }
        if (next++ > 0) {
            throw TemplateFault.type("not enough arguments for format string");
        }
        return single;
    }

    private static String convert(@Nullable Object value, char conversion, String flags, int precision) {
        return switch (conversion) {
            case 's' -> cut(PythonText.str(value), precision);
            case 'r', 'a' -> cut(PythonText.repr(value), precision);
            case 'c' -> value instanceof Long code ? Character.toString(code.intValue()) : PythonText.str(value);
            case 'd', 'i', 'u' -> signed(Long.toString(integer(value)), flags, precision);
            case 'x', 'X', 'o' -> {
                long number = integer(value);
                String digits = Long.toString(Math.abs(number), conversion == 'o' ? 8 : 16);
                String prefix = flags.indexOf('#') < 0 ? "" : conversion == 'o' ? "0o" : "0x";
                String text = (number < 0 ? "-" : "") + prefix + digits;
                yield signed(conversion == 'X' ? text.toUpperCase(java.util.Locale.ROOT) : text, flags, precision);
            }
            case 'f', 'F', 'e', 'E', 'g', 'G' -> {
                if (value == null || !Values.number(value)) {
                    throw TemplateFault.type("must be real number, not " + Values.typeName(value));
                }
                yield signed(
                        NumberFormat.format(
                                Arithmetic.toDouble(value),
                                conversion,
                                precision < 0 ? 6 : precision,
                                flags.indexOf('#') >= 0),
                        flags,
                        -1);
            }
            default -> throw TemplateFault.value("unsupported format character '" + conversion + "'");
        };
    }

    private static String cut(String text, int precision) {
        return precision < 0 || precision >= text.codePointCount(0, text.length())
                ? text
                : text.substring(0, text.offsetByCodePoints(0, precision));
    }

    private static String signed(String number, String flags, int precision) {
        String sign = number.startsWith("-") ? "-" : flags.indexOf('+') >= 0 ? "+" : flags.indexOf(' ') >= 0 ? " " : "";
        String digits = number.startsWith("-") ? number.substring(1) : number;
        return sign + "0".repeat(Math.max(precision - digits.length(), 0)) + digits;
    }

    private static long integer(@Nullable Object value) {
        return switch (value) {
            case Long number -> number;
            case Boolean bool -> bool ? 1 : 0;
            case Double number -> number.longValue();
            case null, default ->
                throw TemplateFault.type("%d format: a real number is required, not " + Values.typeName(value));
        };
    }
}
