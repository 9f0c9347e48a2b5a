package dev.baton.model.tokenizer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds added tokens in a text: leftmost, longest, with the whitespace and word rules of each, as the library's added
 * vocabulary does. What lies between goes on to the model.
 */
final class AddedTokens {
    /** One entry of {@code added_tokens}. */
    record AddedToken(
            int id,
            String content,
            boolean singleWord,
            boolean stripLeft,
            boolean stripRight,
            boolean normalized,
            boolean special) {}

    /** Takes the parts of a text in order. */
    interface Parts {
        void token(int id);

        void text(String text, int from, int to);
    }

    private static final class Node {
        private final Map<Character, Node> children = new HashMap<>();
        private @Nullable AddedToken token;
    }

    private final Node root = new Node();
    private final boolean[] asciiStarts = new boolean[128];
    private boolean otherStarts;

    AddedTokens(List<AddedToken> tokens) {
        for (AddedToken token : tokens) {
            if (token.content.isEmpty()) {
                continue;
            }
            Node node = root;
            for (int i = 0; i < token.content.length(); i++) {
                node = node.children.computeIfAbsent(token.content.charAt(i), c -> new Node());
            }
            node.token = token;
            char first = token.content.charAt(0);
            if (first < 128) {
                asciiStarts[first] = true;
            } else {
                otherStarts = true;
            }
        }
    }

    boolean isEmpty() {
        return root.children.isEmpty();
    }

    void split(String text, int from, int to, Parts parts) {
        int done = from;
        int at = from;
        while (at < to) {
            char c = text.charAt(at);
            AddedToken token = (c < 128 ? asciiStarts[c] : otherStarts) ? longest(text, at, to) : null;
            if (token == null) {
                at++;
                continue;
            }
            int start = at;
            int end = at + token.content.length();
            at = end;
            if (token.singleWord && !standsAlone(text, from, to, start, end)) {
                continue;
            }
            if (token.stripLeft) {
                while (start > from && isSpace(text.codePointBefore(start))) {
                    start -= Character.charCount(text.codePointBefore(start));
                }
                start = Math.max(start, done);
            }
            if (token.stripRight) {
                while (end < to && isSpace(text.codePointAt(end))) {
                    end += Character.charCount(text.codePointAt(end));
                }
            }
            if (start > done) {
                parts.text(text, done, start);
            }
            parts.token(token.id);
            // As in the library, the search goes on at the end of the match, not of the space stripped behind it: a
            // token of spaces there is found as well.
            done = end;
        }
        if (done < to) {
            parts.text(text, done, to);
        }
    }

    private @Nullable AddedToken longest(String text, int from, int to) {
        Node node = root;
        AddedToken found = null;
        for (int i = from; i < to; i++) {
            Node child = node.children.get(text.charAt(i));
            if (child == null) {
                break;
            }
            node = child;
            if (node.token != null) {
                found = node.token;
            }
        }
        return found;
    }

    private static boolean standsAlone(String text, int from, int to, int start, int end) {
        return (start == from || !isWord(text.codePointBefore(start))) && (end == to || !isWord(text.codePointAt(end)));
    }

    /** A regex word character. */
    private static boolean isWord(int codePoint) {
        int type = Character.getType(codePoint);
        return Character.isAlphabetic(codePoint)
                || type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.NON_SPACING_MARK
                || type == Character.ENCLOSING_MARK
                || type == Character.COMBINING_SPACING_MARK
                || type == Character.CONNECTOR_PUNCTUATION
                || codePoint == 0x200C
                || codePoint == 0x200D;
    }

    /** Unicode White_Space. */
    private static boolean isSpace(int codePoint) {
        return Character.isSpaceChar(codePoint) || (codePoint >= 9 && codePoint <= 13) || codePoint == 0x85;
    }
}
