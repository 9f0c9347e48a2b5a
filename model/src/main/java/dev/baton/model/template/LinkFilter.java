package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The filter {@code urlize}: addresses in a text become links, as jinja2 3.1 recognises them. */
final class LinkFilter {
    private static final int FLAGS = Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE | Pattern.UNICODE_CHARACTER_CLASS;
    private static final Pattern SPACE = Pattern.compile("[" + PythonText.SPACE_CLASS + "]+");
    private static final Pattern HEAD = Pattern.compile("(?:[(<]|&lt;)+");
    private static final Pattern TAIL = Pattern.compile("(?:[)>.,\n]|&gt;)+\\z");
    private static final List<List<String>> PAIRS =
            List.of(List.of("(", ")"), List.of("<", ">"), List.of("&lt;", "&gt;"));

    /** A scheme or www and a name that ends in letters. */
    private static final String NAMED = "(?:https?://|www\\.)(?:[\\w%-]+\\.)*(?:[a-z]{2,63}|xn--[\\w%]{2,59})";
    /** A name under one of the oldest endings. */
    private static final String BARE = "(?:[\\w%-]{2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)";

    private static final String NUMBERED =
            "https?://(?:\\d{1,3}(?:\\.\\d{1,3}){3}|\\[(?:[\\da-f]{0,4}:){2}(?:[\\da-f]{0,4}:?){1,6}])";
    private static final String REST = "(?::\\d{1,5})?(?:[/?#][^" + PythonText.SPACE_CLASS + "]*)?";
    private static final Pattern ADDRESS =
            Pattern.compile("(?:" + NAMED + "|" + BARE + "|" + NUMBERED + ")" + REST, FLAGS);
    private static final Pattern MAIL = Pattern.compile("[^" + PythonText.SPACE_CLASS + "]+@\\w[\\w.-]*\\.\\w+", FLAGS);
    private static final Pattern SCHEME = Pattern.compile("[\\w.+-]{2,}:/{0,2}", FLAGS);

    private final long longest;
    private final String attributes;
    private final List<@Nullable Object> schemes;

    private LinkFilter(long longest, String attributes, List<@Nullable Object> schemes) {
        this.longest = longest;
        this.attributes = attributes;
        this.schemes = schemes;
    }

    static Object filter(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("urlize", 0, "trim_url_limit", "nofollow", "target", "rel", "extra_schemes");
        long longest = bound.or(0, null) == null ? Long.MAX_VALUE : bound.integer(0, 0);
        TreeSet<String> rel = new TreeSet<>(List.of("noopener"));
        String more = bound.optionalText(3);
        if (more != null) {
            SPACE.splitAsStream(more).filter(word -> !word.isEmpty()).forEach(rel::add);
        }
        if (bound.truth(1, false)) {
            rel.add("nofollow");
        }
        String target = bound.optionalText(2);
        String attributes = " rel=\"" + Markup.escape(String.join(" ", rel)) + '"'
                + (target == null || target.isEmpty() ? "" : " target=\"" + Markup.escape(target) + '"');
        List<@Nullable Object> schemes = bound.or(4, null) == null ? List.of() : Values.list(bound.value(4));
        for (Object scheme : schemes) {
            if (!SCHEME.matcher(PythonText.str(scheme)).matches()) {
                throw new TemplateFault(
                        "FilterArgumentError", PythonText.repr(scheme) + " is not a valid URI scheme prefix.");
            }
        }
        String text = PythonText.str(value);
        return new LinkFilter(longest, attributes, schemes).text(value instanceof Markup ? text : Markup.escape(text));
    }

    private String text(String text) {
        StringBuilder out = new StringBuilder();
        Matcher space = SPACE.matcher(text);
        int at = 0;
        while (space.find()) {
            out.append(word(text.substring(at, space.start()))).append(space.group());
            at = space.end();
        }
        return out.append(word(text.substring(at))).toString();
    }

    /** Brackets and stops around an address are none of it, but a bracket that closes one within it is. */
    private String word(String word) {
        Matcher matcher = HEAD.matcher(word);
        String head = matcher.lookingAt() ? matcher.group() : "";
        String middle = word.substring(head.length());
        matcher = TAIL.matcher(middle);
        String tail = matcher.find() ? matcher.group() : "";
        middle = middle.substring(0, middle.length() - tail.length());
        for (List<String> pair : PAIRS) {
            int opened = count(middle, pair.getFirst());
            if (opened <= count(middle, pair.getLast())) {
                continue;
            }
            for (int i = Math.min(opened, count(tail, pair.getLast())); i > 0; i--) {
                int end = tail.indexOf(pair.getLast()) + pair.getLast().length();
                middle += tail.substring(0, end);
                tail = tail.substring(end);
            }
        }
        return head + linked(middle) + tail;
    }

    private String linked(String word) {
        if (ADDRESS.matcher(word).matches()) {
            boolean schemed = word.startsWith("https://") || word.startsWith("http://");
            return "<a href=\"" + (schemed ? "" : "https://") + word + '"' + attributes + '>' + trimmed(word) + "</a>";
        }
        if (word.startsWith("mailto:") && MAIL.matcher(word.substring(7)).matches()) {
            return "<a href=\"" + word + "\">" + word.substring(7) + "</a>";
        }
        if (word.contains("@")
                && !word.startsWith("www.")
                && !word.startsWith("@")
                && !word.contains(":")
                && MAIL.matcher(word).matches()) {
            return "<a href=\"mailto:" + word + "\">" + word + "</a>";
        }
        String link = word;
        for (Object scheme : schemes) {
            String begin = PythonText.str(scheme);
            if (!link.equals(begin) && link.startsWith(begin)) {
                link = "<a href=\"" + link + '"' + attributes + '>' + link + "</a>";
            }
        }
        return link;
    }

    private String trimmed(String address) {
        return address.codePointCount(0, address.length()) > longest
                ? address.substring(0, address.offsetByCodePoints(0, (int) Math.max(0, longest))) + "..."
                : address;
    }

    private static int count(String text, String part) {
        int count = 0;
        for (int at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length())) {
            count++;
        }
        return count;
    }
}
