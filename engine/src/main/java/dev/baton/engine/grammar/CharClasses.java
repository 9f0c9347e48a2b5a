package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * The character classes of regular expressions. Engines differ in what lies outside of ASCII: {@code \d} is ASCII in
 * ECMAScript and Unicode in Python. A class is therefore taken {@link #narrow} where it is asked for and {@link #wide} where it
 * is excluded, so that what is generated matches under either reading.
 */
final class CharClasses {
    private static final CodePoints DIGITS = CodePoints.range('0', '9');
    private static final CodePoints WORD =
            DIGITS.or(CodePoints.range('a', 'z')).or(CodePoints.range('A', 'Z')).or(CodePoints.of('_'));
    private static final CodePoints SPACES = CodePoints.ofAll(" \t\n\r\f\u000B");

    /** What {@code .} leaves out in one engine or another. */
    static final CodePoints LINE_ENDS = CodePoints.ofAll("\n\r\u0085\u2028\u2029");

    private static final Map<String, CodePoints> PROPERTIES = new HashMap<>();

    private CharClasses() {}

    /** The set of {@code \d}, {@code \w} or {@code \s}; null for another letter. */
    static @Nullable CodePoints narrow(int letter) {
        return switch (letter) {
            case 'd' -> DIGITS;
            case 'w' -> WORD;
            case 's' -> SPACES;
            default -> null;
        };
    }

    /** All that any engine takes for {@code \d}, {@code \w} or {@code \s}. */
    static CodePoints wide(int letter) {
        return switch (letter) {
            case 'd' -> Wide.DIGITS;
            case 'w' -> Wide.WORD;
            case 's' -> Wide.SPACES;
            default -> throw new IllegalArgumentException(Character.toString(letter));
        };
    }

    /** The set of {@code \p{name}} as java.util.regex knows it; null when it knows none of that name. */
    static synchronized @Nullable CodePoints property(String name) {
        CodePoints known = PROPERTIES.get(name);
        if (known != null) {
            return known;
        }
        try {
            var matcher = Pattern.compile("\\p{" + name + "}").matcher("");
            CodePoints set = collect(c -> matcher.reset(Character.toString(c)).matches());
            if (PROPERTIES.size() < 64) {
                PROPERTIES.put(name, set);
            }
            return set;
        } catch (PatternSyntaxException e) {
            return null;
        }
    }

    private static CodePoints collect(IntPredicate test) {
        int start = -1;
        List<int[]> ranges = new ArrayList<>();
        for (int c = 0; c <= 0x110000; c++) {
            boolean in = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF) && test.test(c);
            if (in && start < 0) {
                start = c;
            } else if (!in && start >= 0) {
                ranges.add(new int[] {start, c - 1});
                start = -1;
            }
        }
        return CodePoints.NONE.orRanges(ranges);
    }

    /** Made on first use: each is a pass over Unicode. */
    private static final class Wide {
        static final CodePoints DIGITS = collect(Character::isDigit);
        static final CodePoints WORD = collect(c -> Character.isLetterOrDigit(c)
                || Character.getType(c) == Character.CONNECTOR_PUNCTUATION
                || Character.getType(c) == Character.NON_SPACING_MARK
                || Character.getType(c) == Character.ENCLOSING_MARK
                || Character.getType(c) == Character.COMBINING_SPACING_MARK
                || Character.getType(c) == Character.LETTER_NUMBER
                || Character.getType(c) == Character.OTHER_NUMBER
                || Character.isAlphabetic(c)
                || c == 0x200C
                || c == 0x200D);
        static final CodePoints SPACES = collect(
                c -> Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85 || c == 0x180E || c == 0xFEFF);
    }
}
