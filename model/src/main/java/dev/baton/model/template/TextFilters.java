package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Filters on text. */
final class TextFilters {
    private static final Pattern WORD_BEGIN = Pattern.compile("[-" + PythonText.SPACE_CLASS + "({\\[<]+");
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}_]+");
    private static final Pattern ATTRIBUTE_KEY = Pattern.compile("[ \\t-\\r/>=]");
    private static final Pattern COMMENT = Pattern.compile("(?s)<!--.*?-->");
    private static final Pattern TAG = Pattern.compile("(?s)<.*?>");

    private TextFilters() {}

    static void register(Map<String, Filters.Filter> filters) {
        filters.put("upper", (value, a) -> text(value, a).toUpperCase(Locale.ROOT));
        filters.put("lower", (value, a) -> text(value, a).toLowerCase(Locale.ROOT));
        filters.put("capitalize", (value, a) -> StringCase.capitalize(text(value, a)));
        filters.put("title", (value, a) -> title(text(value, a)));
        filters.put("trim", (value, a) -> {
            Bound bound = a.bind("trim", 0, "chars");
            return PythonText.strip(PythonText.str(value), bound.optionalText(0), true, true);
        });
        filters.put(
                "center",
                (value, a) -> StringMethods.pad(
                        PythonText.str(value), a.bind("center", 0, "width").integer(0, 80), " ", "center"));
        filters.put("replace", TextFilters::replace);
        filters.put("indent", TextFilters::indent);
        filters.put("truncate", TextFilters::truncate);
        filters.put("format", TextFilters::format);
        filters.put(
                "wordcount",
                (value, a) -> WORD.matcher(text(value, a)).results().count());
        filters.put("string", (value, a) -> value instanceof Markup ? value : text(value, a));
        filters.put("safe", (value, a) -> value instanceof Markup ? value : new Markup(text(value, a)));
        filters.put("escape", TextFilters::escape);
        filters.put("e", TextFilters::escape);
        filters.put("forceescape", (value, a) -> new Markup(Markup.escape(text(value, a))));
        filters.put("striptags", (value, a) -> stripTags(text(value, a)));
        filters.put("urlencode", TextFilters::urlEncode);
        filters.put("xmlattr", TextFilters::xmlAttributes);
        filters.put("tojson", JsonText::filter);
        filters.put("join", TextFilters::join);
    }

    private static String text(@Nullable Object value, Arguments arguments) {
        arguments.bind("filter", 0);
        return PythonText.str(value);
    }

    private static String title(String text) {
        StringBuilder out = new StringBuilder();
        Matcher matcher = WORD_BEGIN.matcher(text);
        int at = 0;
        while (matcher.find()) {
            out.append(titled(text.substring(at, matcher.start())))
                    .append(matcher.group().toLowerCase(Locale.ROOT));
            at = matcher.end();
        }
        return out.append(titled(text.substring(at))).toString();
    }

    private static String titled(String word) {
        if (word.isEmpty()) {
            return word;
        }
        int end = word.offsetByCodePoints(0, 1);
        return word.substring(0, end).toUpperCase(Locale.ROOT)
                + word.substring(end).toLowerCase(Locale.ROOT);
    }

    private static Object replace(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("replace", 2, "old", "new", "count");
        long count = bound.or(2, null) == null ? -1 : bound.integer(2, -1);
        return StringMethods.replace(
                PythonText.str(value), PythonText.str(bound.value(0)), PythonText.str(bound.value(1)), count);
    }

    private static Object indent(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("indent", 0, "width", "first", "blank");
        Object width = bound.or(0, 4L);
        String given = Values.asString(width);
        String indent = given != null ? given : " ".repeat((int) Math.clamp(bound.integer(0, 4), 0L, 1 << 16));
        String text = Values.asString(value);
        if (text == null) {
            throw value instanceof Undefined undefined
                    ? undefined.fault()
                    : new TemplateFault("AttributeError", "indent expects a str, not " + Values.typeName(value));
        }
        List<String> lines = PythonText.splitLines(text + "\n", false);
        boolean blank = bound.truth(2, false);
        StringBuilder out = new StringBuilder(bound.truth(1, false) ? indent : "").append(lines.getFirst());
        for (String line : lines.subList(1, lines.size())) {
            out.append('\n').append(blank || !line.isEmpty() ? indent : "").append(line);
        }
        return out.toString();
    }

    private static Object truncate(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("truncate", 0, "length", "killwords", "end", "leeway");
        long length = bound.integer(0, 255);
        String end = bound.has(2) ? bound.text(2) : "...";
        long leeway = bound.or(3, null) == null ? 5 : bound.integer(3, 5);
        int endLength = end.codePointCount(0, end.length());
        if (length < endLength || leeway < 0) {
            throw new TemplateFault("AssertionError", "expected length >= " + endLength + ", got " + length);
        }
        if (value != null && Values.length(value) <= length + leeway) {
            return value;
        }
        String text = Values.asString(value);
        if (text == null) {
            throw TemplateFault.type("truncate expects a str, not " + Values.typeName(value));
        }
        String cut = text.substring(0, text.offsetByCodePoints(0, (int) (length - endLength)));
        int space = bound.truth(1, false) ? -1 : cut.lastIndexOf(' ');
        return (space < 0 ? cut : cut.substring(0, space)) + end;
    }

    private static Object format(@Nullable Object value, Arguments arguments) {
        if (!arguments.positional().isEmpty() && !arguments.keyword().isEmpty()) {
            throw new TemplateFault(
                    "FilterArgumentError", "can't handle positional and keyword arguments at the same time");
        }
        Object values = arguments.keyword().isEmpty() ? new Tuple(arguments.positional()) : arguments.keyword();
        return PercentFormat.format(PythonText.str(value), values);
    }

    private static Object escape(@Nullable Object value, Arguments arguments) {
        return value instanceof Markup ? value : new Markup(Markup.escape(text(value, arguments)));
    }

    private static String stripTags(String text) {
        String bare = TAG.matcher(COMMENT.matcher(text).replaceAll("")).replaceAll("");
        StringBuilder out = new StringBuilder();
        Iterator<String> words = Pattern.compile("[" + PythonText.SPACE_CLASS + "]+")
                .splitAsStream(bare)
                .filter(word -> !word.isEmpty())
                .iterator();
        while (words.hasNext()) {
            out.append(words.next()).append(words.hasNext() ? " " : "");
        }
        return unescape(out.toString());
    }

    private static String unescape(String text) {
        return text.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&#34;", "\"")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&");
    }

    private static Object urlEncode(@Nullable Object value, Arguments arguments) {
        arguments.bind("urlencode", 0);
        if (Values.asString(value) != null || !Values.iterable(value)) {
            return quoted(value, true);
        }
        List<@Nullable Object> pairs =
                value instanceof Map<?, ?> map ? CollectionMethods.entries(map) : Values.list(value);
        StringBuilder out = new StringBuilder();
        for (Object pair : pairs) {
            List<@Nullable Object> both = Values.list(pair);
            if (both.size() != 2) {
                throw TemplateFault.value("a query takes pairs of key and value");
            }
            out.append(out.isEmpty() ? "" : "&")
                    .append(quoted(both.get(0), false))
                    .append('=')
                    .append(quoted(both.get(1), false));
        }
        return out.toString();
    }

    /** @param path spaces as %20 and slashes kept, otherwise as in a query */
    private static String quoted(@Nullable Object value, boolean path) {
        String encoded = URLEncoder.encode(PythonText.str(value), StandardCharsets.UTF_8)
                .replace("*", "%2A")
                .replace("%7E", "~");
        return path ? encoded.replace("+", "%20").replace("%2F", "/") : encoded;
    }

    private static Object xmlAttributes(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("xmlattr", 0, "autospace");
        if (value instanceof Undefined undefined) {
            throw undefined.fault();
        }
        if (!(value instanceof Map<?, ?> map)) {
            throw new TemplateFault("AttributeError", "xmlattr expects a dict, not " + Values.typeName(value));
        }
        StringBuilder out = new StringBuilder();
        map.forEach((key, attribute) -> {
            if (attribute == null || attribute instanceof Undefined) {
                return;
            }
            String name = PythonText.str(key);
            if (ATTRIBUTE_KEY.matcher(name).find()) {
                throw TemplateFault.value("Invalid character in attribute name: " + PythonText.repr(name));
            }
            String text = PythonText.str(attribute);
            out.append(out.isEmpty() ? "" : " ")
                    .append(Markup.escape(name))
                    .append("=\"")
                    .append(attribute instanceof Markup ? text : Markup.escape(text))
                    .append('"');
        });
        return (bound.truth(0, true) && !out.isEmpty() ? " " : "") + out;
    }

    private static Object join(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("join", 0, "d", "attribute");
        String separator = PythonText.str(bound.or(0, ""));
        Object attribute = bound.or(1, null);
        StringBuilder out = new StringBuilder();
        boolean first = true;
        for (Object item : Values.list(value)) {
            Object part = attribute == null ? item : SelectionFilters.path(attribute, item, null);
            out.append(first ? "" : separator).append(PythonText.str(part));
            first = false;
        }
        return out.toString();
    }
}
