package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Methods of str. Positions count code points. */
final class StringMethods {
    private interface Method {
        @Nullable
        Object call(String text, Arguments arguments);
    }

    /** Methods of Python's str that templates have no use for. */
    private static final Set<String> NOT_SUPPORTED = Set.of("encode");

    private static final Map<String, Method> METHODS = Map.ofEntries(
            Map.entry("upper", plain(text -> text.toUpperCase(Locale.ROOT))),
            Map.entry("lower", plain(text -> text.toLowerCase(Locale.ROOT))),
            Map.entry("casefold", plain(StringCase::fold)),
            Map.entry("capitalize", plain(StringCase::capitalize)),
            Map.entry("title", plain(StringCase::title)),
            Map.entry("swapcase", plain(StringCase::swap)),
            Map.entry("isalnum", plain(text -> StringCase.all(text, Character::isLetterOrDigit))),
            Map.entry("isalpha", plain(text -> StringCase.all(text, Character::isLetter))),
            Map.entry("isascii", plain(text -> text.chars().allMatch(c -> c < 128))),
            Map.entry("isdecimal", plain(text -> StringCase.all(text, Character::isDigit))),
            Map.entry("isdigit", plain(text -> StringCase.all(text, StringCase::digit))),
            Map.entry("isnumeric", plain(text -> StringCase.all(text, StringCase::numeric))),
            Map.entry("isidentifier", plain(StringCase::identifier)),
            Map.entry("islower", plain(StringCase::isLower)),
            Map.entry("isupper", plain(StringCase::isUpper)),
            Map.entry("istitle", plain(StringCase::isTitle)),
            Map.entry("isspace", plain(text -> StringCase.all(text, PythonText::isSpace))),
            Map.entry("isprintable", plain(text -> text.codePoints().allMatch(PythonText::printable))),
            Map.entry("strip", (text, arguments) -> strip(text, arguments, true, true)),
            Map.entry("lstrip", (text, arguments) -> strip(text, arguments, true, false)),
            Map.entry("rstrip", (text, arguments) -> strip(text, arguments, false, true)),
            Map.entry("split", (text, arguments) -> split(text, arguments, false)),
            Map.entry("rsplit", (text, arguments) -> split(text, arguments, true)),
            Map.entry(
                    "splitlines",
                    (text, arguments) -> new ArrayList<@Nullable Object>(PythonText.splitLines(
                            text, arguments.bind("splitlines", 0, "keepends").truth(0, false)))),
            Map.entry("startswith", (text, arguments) -> affix(text, arguments, "startswith")),
            Map.entry("endswith", (text, arguments) -> affix(text, arguments, "endswith")),
            Map.entry("removeprefix", (text, arguments) -> {
                String prefix = arguments.bind("removeprefix", 1, "prefix").text(0);
                return text.startsWith(prefix) ? text.substring(prefix.length()) : text;
            }),
            Map.entry("removesuffix", (text, arguments) -> {
                String suffix = arguments.bind("removesuffix", 1, "suffix").text(0);
                return text.endsWith(suffix) ? text.substring(0, text.length() - suffix.length()) : text;
            }),
            Map.entry("replace", StringMethods::replace),
            Map.entry(
                    "join",
                    (text, arguments) ->
                            join(text, arguments.bind("join", 1, "iterable").value(0))),
            Map.entry("find", (text, arguments) -> find(text, arguments, "find", false)),
            Map.entry("rfind", (text, arguments) -> find(text, arguments, "rfind", true)),
            Map.entry("index", (text, arguments) -> found(find(text, arguments, "index", false))),
            Map.entry("rindex", (text, arguments) -> found(find(text, arguments, "rindex", true))),
            Map.entry("count", StringMethods::count),
            Map.entry("partition", (text, arguments) -> partition(text, arguments, false)),
            Map.entry("rpartition", (text, arguments) -> partition(text, arguments, true)),
            Map.entry("center", (text, arguments) -> pad(text, arguments, "center")),
            Map.entry("ljust", (text, arguments) -> pad(text, arguments, "ljust")),
            Map.entry("rjust", (text, arguments) -> pad(text, arguments, "rjust")),
            Map.entry("zfill", StringMethods::zeroFill),
            Map.entry("expandtabs", StringMethods::expandTabs),
            Map.entry("translate", StringTables::translate),
            Map.entry("maketrans", StringTables::makeTable),
            Map.entry("format_map", StringTables::formatMap),
            Map.entry("format", BraceFormat::format));

    private interface Plain {
        Object apply(String text);
    }

    private StringMethods() {}

    private static Method plain(Plain function) {
        return (text, arguments) -> {
            arguments.bind("str method", 0);
            return function.apply(text);
        };
    }

    /** The method, bound to {@code text}, or {@link Scope#MISSING}. */
    static Object find(String text, String name) {
        Method method = METHODS.get(name);
        if (method != null) {
            return (Callable) arguments -> method.call(text, arguments);
        }
        if (NOT_SUPPORTED.contains(name)) {
            throw TemplateFault.unsupported("the method " + name + " of str");
        }
        return Scope.MISSING;
    }

    private static String strip(String text, Arguments arguments, boolean left, boolean right) {
        return PythonText.strip(text, arguments.bind("strip", 0, "chars").optionalText(0), left, right);
    }

    private static Object split(String text, Arguments arguments, boolean fromRight) {
        Bound bound = arguments.bind("split", 0, "sep", "maxsplit");
        String separator = bound.optionalText(0);
        long limit = bound.integer(1, -1);
        List<@Nullable Object> parts = new ArrayList<>();
        if (separator == null) {
            splitBlank(text, limit < 0 ? Long.MAX_VALUE : limit, fromRight, parts);
        } else if (separator.isEmpty()) {
            throw TemplateFault.value("empty separator");
        } else {
            splitAt(text, separator, limit < 0 ? Long.MAX_VALUE : limit, fromRight, parts);
        }
        return parts;
    }

    private static void splitAt(
            String text, String separator, long limit, boolean fromRight, List<@Nullable Object> parts) {
        String rest = text;
        for (long i = 0; i < limit; i++) {
            int at = fromRight ? rest.lastIndexOf(separator) : rest.indexOf(separator);
            if (at < 0) {
                break;
            }
            if (fromRight) {
                parts.addFirst(rest.substring(at + separator.length()));
                rest = rest.substring(0, at);
            } else {
                parts.add(rest.substring(0, at));
                rest = rest.substring(at + separator.length());
            }
        }
        if (fromRight) {
            parts.addFirst(rest);
        } else {
            parts.add(rest);
        }
    }

    private static void splitBlank(String text, long limit, boolean fromRight, List<@Nullable Object> parts) {
        String rest = fromRight ? PythonText.stripRight(text) : PythonText.stripLeft(text);
        while (!rest.isEmpty()) {
            int at = parts.size() >= limit ? -1 : blank(rest, fromRight);
            if (at < 0) {
                String last = fromRight ? PythonText.stripLeft(rest) : PythonText.stripRight(rest);
                String kept = parts.size() >= limit ? rest : last;
                if (fromRight) {
                    parts.addFirst(kept);
                } else {
                    parts.add(kept);
                }
                return;
            }
            if (fromRight) {
                parts.addFirst(rest.substring(at + 1));
                rest = PythonText.stripRight(rest.substring(0, at));
            } else {
                parts.add(rest.substring(0, at));
                rest = PythonText.stripLeft(rest.substring(at));
            }
        }
    }

    private static int blank(String text, boolean fromRight) {
        for (int i = 0; i < text.length(); i++) {
            int at = fromRight ? text.length() - 1 - i : i;
            if (PythonText.isSpace(text.charAt(at))) {
                return at;
            }
        }
        return -1;
    }

    private static Object affix(String text, Arguments arguments, String name) {
        Bound bound = arguments.bind(name, 1, name.equals("startswith") ? "prefix" : "suffix", "start", "end");
        String part = range(text, bound, 1);
        List<@Nullable Object> affixes =
                bound.value(0) instanceof Tuple tuple ? new ArrayList<>(tuple) : singleton(bound.text(0));
        for (Object affix : affixes) {
            String wanted = Values.asString(affix);
            if (wanted != null
                    && part != null
                    && (name.equals("startswith") ? part.startsWith(wanted) : part.endsWith(wanted))) {
                return true;
            }
        }
        return false;
    }

    private static List<@Nullable Object> singleton(String text) {
        List<@Nullable Object> list = new ArrayList<>();
        list.add(text);
        return list;
    }

    /** The part of {@code text} between the positions at {@code index} and the next argument; null when outside. */
    private static @Nullable String range(String text, Bound bound, int index) {
        int length = text.codePointCount(0, text.length());
        long from = bound.value(index) == null ? 0 : bound.integer(index, 0);
        long to = bound.value(index + 1) == null ? length : bound.integer(index + 1, length);
        from = Math.max(from < 0 ? from + length : from, 0);
        to = Math.clamp(to < 0 ? to + length : to, 0L, (long) length);
        if (from > to) {
            return null;
        }
        return text.substring(text.offsetByCodePoints(0, (int) from), text.offsetByCodePoints(0, (int) to));
    }

    private static long find(String text, Arguments arguments, String name, boolean fromRight) {
        Bound bound = arguments.bind(name, 1, "sub", "start", "end");
        String part = range(text, bound, 1);
        if (part == null) {
            return -1;
        }
        int at = fromRight ? part.lastIndexOf(bound.text(0)) : part.indexOf(bound.text(0));
        if (at < 0) {
            return -1;
        }
        int length = text.codePointCount(0, text.length());
        long from = bound.value(1) == null ? 0 : bound.integer(1, 0);
        return Math.max(from < 0 ? from + length : from, 0) + part.codePointCount(0, at);
    }

    private static long found(long position) {
        if (position < 0) {
            throw TemplateFault.value("substring not found");
        }
        return position;
    }

    private static Object count(String text, Arguments arguments) {
        Bound bound = arguments.bind("count", 1, "sub", "start", "end");
        String part = range(text, bound, 1);
        String wanted = bound.text(0);
        if (part == null) {
            return 0L;
        }
        if (wanted.isEmpty()) {
            return (long) part.codePointCount(0, part.length()) + 1;
        }
        long count = 0;
        for (int at = part.indexOf(wanted); at >= 0; at = part.indexOf(wanted, at + wanted.length())) {
            count++;
        }
        return count;
    }

    private static Object replace(String text, Arguments arguments) {
        Bound bound = arguments.bind("replace", 2, "old", "new", "count");
        return replace(text, bound.text(0), bound.text(1), bound.integer(2, -1));
    }

    /** @param limit of replacements; negative for all */
    static String replace(String text, String old, String replacement, long limit) {
        if (limit < 0 && !old.isEmpty()) {
            return text.replace(old, replacement);
        }
        StringBuilder out = new StringBuilder();
        int at = 0;
        long left = limit < 0 ? Long.MAX_VALUE : limit;
        while (left-- > 0) {
            int next = old.isEmpty() ? at : text.indexOf(old, at);
            if (next < 0 || next > text.length()) {
                break;
            }
            out.append(text, at, next).append(replacement);
            at = next + old.length();
            if (old.isEmpty()) {
                if (at == text.length()) {
                    return out.toString();
                }
                int end = text.offsetByCodePoints(at, 1);
                out.append(text, at, end);
                at = end;
            }
        }
        return out.append(text.substring(Math.min(at, text.length()))).toString();
    }

    static String join(String separator, @Nullable Object iterable) {
        StringBuilder out = new StringBuilder();
        int index = 0;
        for (Object item : Values.list(iterable)) {
            String text = Values.asString(item);
            if (text == null) {
                throw TemplateFault.type(
                        "sequence item " + index + ": expected str instance, " + Values.typeName(item) + " found");
            }
            out.append(index++ == 0 ? "" : separator).append(text);
        }
        return out.toString();
    }

    private static Object partition(String text, Arguments arguments, boolean fromRight) {
        String separator = arguments.bind("partition", 1, "sep").text(0);
        if (separator.isEmpty()) {
            throw TemplateFault.value("empty separator");
        }
        int at = fromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
        List<@Nullable Object> parts = new ArrayList<>();
        parts.add(at >= 0 ? text.substring(0, at) : fromRight ? "" : text);
        parts.add(at >= 0 ? separator : "");
        parts.add(at >= 0 ? text.substring(at + separator.length()) : fromRight ? text : "");
        return new Tuple(parts);
    }

    private static Object pad(String text, Arguments arguments, String name) {
        Bound bound = arguments.bind(name, 1, "width", "fillchar");
        return pad(text, bound.integer(0, 0), bound.has(1) ? bound.text(1) : " ", name);
    }

    static String pad(String text, long width, String fill, String name) {
        long missing = Math.min(width, 1 << 20) - text.codePointCount(0, text.length());
        if (missing <= 0) {
            return text;
        }
        long left = switch (name) {
            case "center" -> missing / 2 + (missing & width & 1);
            case "rjust" -> missing;
            default -> 0;
        };
        return fill.repeat((int) left) + text + fill.repeat((int) (missing - left));
    }

    private static Object zeroFill(String text, Arguments arguments) {
        long width = arguments.bind("zfill", 1, "width").integer(0, 0);
        boolean signed = text.startsWith("-") || text.startsWith("+");
        String digits = signed ? text.substring(1) : text;
        return (signed ? text.substring(0, 1) : "") + pad(digits, width - (signed ? 1 : 0), "0", "rjust");
    }

    private static Object expandTabs(String text, Arguments arguments) {
        int size = (int) Math.clamp(arguments.bind("expandtabs", 0, "tabsize").integer(0, 8), 0L, 1000L);
        StringBuilder out = new StringBuilder();
        int column = 0;
        for (int c : text.codePoints().toArray()) {
            if (c == '\t') {
                int spaces = size == 0 ? 0 : size - column % size;
                out.append(" ".repeat(spaces));
                column += spaces;
            } else {
                out.appendCodePoint(c);
                column = c == '\n' || c == '\r' ? 0 : column + 1;
            }
        }
        return out.toString();
    }
}
