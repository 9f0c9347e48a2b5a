package dev.baton.model.template;

import dev.baton.model.template.Arguments.Bound;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The filter {@code wordwrap}, as Python's textwrap breaks lines: each line by itself, greedily, at white space and, when asked,
 * behind hyphens and around dashes. Lengths are in code points.
 */
final class WordWrap {
    private static final String SPACE = "[\\t\\n\\x0b\\x0c\\r ]";
    private static final String TEXT = "[^\\t\\n\\x0b\\x0c\\r ]";
    private static final String LETTER = "[^\\d\\W]";
    /** What a dash may follow. */
    private static final String BEFORE_DASH = "[\\w!\"'&.,?]";

    private static final Pattern SPACES = Pattern.compile(SPACE + "+");
    /** A run of space, a dash, or a word up to a hyphen within it, a dash or its end. */
    private static final Pattern PIECES = Pattern.compile(
            SPACE + "+|(?<=" + BEFORE_DASH + ")-{2,}(?=\\w)|" + TEXT + "+?(?:-(?:(?<=" + LETTER + "{2}-)|(?<=" + LETTER
                    + "-"
                    + LETTER + "-))(?=" + LETTER + "-?" + LETTER + ")|(?=" + SPACE + "|\\z)|(?<=" + BEFORE_DASH
                    + ")(?=-{2,}\\w))",
            Pattern.UNICODE_CHARACTER_CLASS);

    private final long width;
    private final boolean breakWords;
    private final boolean breakHyphens;

    private WordWrap(long width, boolean breakWords, boolean breakHyphens) {
        this.width = width;
        this.breakWords = breakWords;
        this.breakHyphens = breakHyphens;
    }

    static Object filter(@Nullable Object value, Arguments arguments) {
        Bound bound = arguments.bind("wordwrap", 0, "width", "break_long_words", "wrapstring", "break_on_hyphens");
        String separator = bound.optionalText(2);
        WordWrap wrap = new WordWrap(bound.integer(0, 79), bound.truth(1, true), bound.truth(3, true));
        String text = Values.asString(value);
        if (text == null) {
            throw value instanceof Undefined undefined
                    ? undefined.fault()
                    : new TemplateFault(
                            "AttributeError", "'" + Values.typeName(value) + "' object has no attribute 'splitlines'");
        }
        List<String> lines = new ArrayList<>();
        String between = separator == null ? "\n" : separator;
        for (String line : PythonText.splitLines(text, false)) {
            lines.add(String.join(between, wrap.wrap(line)));
        }
        return String.join(between, lines);
    }

    private List<String> wrap(String line) {
        if (width <= 0) {
            throw TemplateFault.value("invalid width " + width + " (must be > 0)");
        }
        Deque<String> pieces = pieces(line);
        List<String> lines = new ArrayList<>();
        while (!pieces.isEmpty()) {
            if (!lines.isEmpty() && isBlank(pieces.element())) {
                pieces.remove();
            }
            List<String> current = new ArrayList<>();
            long length = 0;
            while (!pieces.isEmpty() && length + length(pieces.element()) <= width) {
                length += length(pieces.element());
                current.add(pieces.remove());
            }
            if (!pieces.isEmpty() && length(pieces.element()) > width) {
                breakWord(pieces, current, length);
            }
            if (!current.isEmpty() && isBlank(current.getLast())) {
                current.removeLast();
            }
            if (!current.isEmpty()) {
                lines.add(String.join("", current));
            }
        }
        return lines;
    }

    /** The next piece is longer than a line. */
    private void breakWord(Deque<String> pieces, List<String> current, long length) {
        if (!breakWords) {
            if (current.isEmpty()) {
                current.add(pieces.remove());
            }
            return;
        }
        String word = pieces.remove();
        int end = word.offsetByCodePoints(0, (int) Math.max(1, width - length));
        if (breakHyphens) {
            int hyphen = word.lastIndexOf('-', end - 1);
            if (hyphen > 0 && !word.substring(0, hyphen).replace("-", "").isEmpty()) {
                end = hyphen + 1;
            }
        }
        current.add(word.substring(0, end));
        pieces.addFirst(word.substring(end));
    }

    private Deque<String> pieces(String line) {
        Deque<String> pieces = new ArrayDeque<>();
        int at = 0;
        Matcher matcher = (breakHyphens ? PIECES : SPACES).matcher(line);
        while (matcher.find()) {
            if (matcher.start() > at) {
                pieces.add(line.substring(at, matcher.start()));
            }
            if (!matcher.group().isEmpty()) {
                pieces.add(matcher.group());
            }
            at = matcher.end();
        }
        if (at < line.length()) {
            pieces.add(line.substring(at));
        }
        return pieces;
    }

    private static boolean isBlank(String piece) {
        return PythonText.strip(piece, null, true, true).isEmpty();
    }

    private static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
