package dev.baton.model.template;

import java.util.Locale;
import java.util.function.IntPredicate;

/** Case conversions and character classes of str. */
final class StringCase {
    private StringCase() {}

    static boolean all(String text, IntPredicate predicate) {
        return !text.isEmpty() && text.codePoints().allMatch(predicate);
    }

    static boolean digit(int c) {
        return Character.isDigit(c)
                || (Character.getType(c) == Character.OTHER_NUMBER && Character.digit(normal(c), 10) >= 0);
    }

    /** Superscripts and circled digits become plain ones. */
    private static int normal(int c) {
        String plain = java.text.Normalizer.normalize(Character.toString(c), java.text.Normalizer.Form.NFKC);
        return plain.length() == 1 ? plain.charAt(0) : -1;
    }

    static boolean numeric(int c) {
        int type = Character.getType(c);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER;
    }

    static boolean identifier(String text) {
        return !text.isEmpty()
                && (text.codePointAt(0) == '_' || Character.isUnicodeIdentifierStart(text.codePointAt(0)))
                && text.codePoints().allMatch(c -> c == '_' || Character.isUnicodeIdentifierPart(c));
    }

    static String fold(String text) {
        return text.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
    }

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int end = text.offsetByCodePoints(0, 1);
        return titleCase(text.codePointAt(0)) + text.substring(end).toLowerCase(Locale.ROOT);
    }

    private static String titleCase(int c) {
        int title = Character.toTitleCase(c);
        if (title != c) {
            return Character.toString(title);
        }
        String upper = Character.toString(c).toUpperCase(Locale.ROOT);
        // Letters such as sharp s become two, of which only the first stays upper case.
        int end = upper.offsetByCodePoints(0, 1);
        return upper.substring(0, end) + upper.substring(end).toLowerCase(Locale.ROOT);
    }

    static String title(String text) {
        StringBuilder out = new StringBuilder();
        boolean inWord = false;
        for (int c : text.codePoints().toArray()) {
            String character = Character.toString(c);
            out.append(inWord ? character.toLowerCase(Locale.ROOT) : titleCase(c));
            inWord = cased(c);
        }
        return out.toString();
    }

    static String swap(String text) {
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            String character = Character.toString(c);
            out.append(
                    Character.isUpperCase(c) ? character.toLowerCase(Locale.ROOT) : character.toUpperCase(Locale.ROOT));
        });
        return out.toString();
    }

    private static boolean cased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    static boolean isLower(String text) {
        return text.codePoints().anyMatch(Character::isLowerCase)
                && text.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
    }

    static boolean isUpper(String text) {
        return text.codePoints().anyMatch(Character::isUpperCase)
                && text.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
    }

    static boolean isTitle(String text) {
        boolean seen = false;
        boolean inWord = false;
        for (int c : text.codePoints().toArray()) {
            boolean upper = Character.isUpperCase(c) || Character.isTitleCase(c);
            if ((upper && inWord) || (Character.isLowerCase(c) && !inWord)) {
                return false;
            }
            inWord = cased(c);
            seen |= inWord;
        }
        return seen;
    }
}
