package dev.baton.trace.read;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Scanning of JSON bytes without building anything. Every scan takes the index of a first byte and gives the index after
 * the last one, {@link #CUT} when the window ends inside, or {@link #BAD} when the text is not JSON. A window ends in a
 * byte 0 (see {@link ByteWindow}).
 *
 * <p>Stricter than it must be in one point, so that an unescaped quote is found where it stands: a string must be followed
 * by a comma, colon or closing bracket. Laxer in another: bare {@code NaN} and {@code Infinity} pass. With
 * {@code lenient} a quote ends a string only where such a follower stands behind it, which reads the unescaped quotes of
 * older PyTorch.
 */
final class Json {
    static final int CUT = -1;
    static final int BAD = -2;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long ONES = 0x0101010101010101L;
    private static final long HIGHS = 0x8080808080808080L;
    private static final byte SPACE = 1;
    private static final byte FOLLOWS_STRING = 2;
    private static final byte WORD = 4;
    private static final byte[] KIND = new byte[256];

    static {
        for (char c : " \t\r\n".toCharArray()) {
            KIND[c] = SPACE;
        }
        for (char c : ",:}]".toCharArray()) {
            KIND[c] = FOLLOWS_STRING;
        }
        for (char c : "+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".toCharArray()) {
            KIND[c] = WORD;
        }
    }

    private Json() {}

    static boolean isSpace(byte b) {
        return KIND[b & 0xff] == SPACE;
    }

    /** The first byte from {@code at} on that is not white space. */
    static int skipSpace(byte[] b, int at) {
        int i = at;
        while (KIND[b[i] & 0xff] == SPACE) {
            i++;
        }
        return i;
    }

    /** The index of the quote that ends the string whose text begins at {@code from}. */
    static int stringEnd(byte[] b, int from, int limit, boolean lenient) {
        int i = from;
        while (true) {
            i = quoteOrEscape(b, i, limit);
            if (i >= limit) {
                return CUT;
            }
            if (b[i] == '\\') {
                i += 2;
                continue;
            }
            int next = skipSpace(b, i + 1);
            if (next >= limit) {
                return CUT;
            }
            if (KIND[b[next] & 0xff] == FOLLOWS_STRING) {
                return i;
            }
            if (!lenient) {
                return BAD;
            }
            i++;
        }
    }

    /** Index of the next quote or backslash at or after {@code from}; {@code limit} or more when there is none. */
    private static int quoteOrEscape(byte[] b, int from, int limit) {
        int i = from;
        while (i + 8 <= limit) {
            long word = (long) LONGS.get(b, i);
            long quotes = word ^ 0x2222222222222222L;
            long escapes = word ^ 0x5c5c5c5c5c5c5c5cL;
            long hit = (quotes - ONES & ~quotes | escapes - ONES & ~escapes) & HIGHS;
            if (hit != 0) {
                return i + (Long.numberOfTrailingZeros(hit) >>> 3);
            }
            i += 8;
        }
        while (i < limit && b[i] != '"' && b[i] != '\\') {
            i++;
        }
        return i;
    }

    /** Passes over any value: string, number, word, object or array. */
    static int skipValue(byte[] b, int at, int limit, boolean lenient) {
        byte c = b[at];
        if (c == '"') {
            int end = stringEnd(b, at + 1, limit, lenient);
            return end < 0 ? end : end + 1;
        }
        if (c == '{' || c == '[') {
            return skipContainer(b, at, limit, lenient);
        }
        return skipWord(b, at, limit);
    }

    /** Passes over a number, {@code true}, {@code null}, {@code -Infinity} and the like. */
    static int skipWord(byte[] b, int at, int limit) {
        int i = at;
        while (KIND[b[i] & 0xff] == WORD) {
            i++;
        }
        return i >= limit ? CUT : i == at ? BAD : i;
    }

    private static int skipContainer(byte[] b, int at, int limit, boolean lenient) {
        int depth = 0;
        int i = at;
        while (true) {
            byte c = b[i];
            if (c == '"') {
                int end = stringEnd(b, i + 1, limit, lenient);
                if (end < 0) {
                    return end;
                }
                i = end + 1;
                continue;
            }
            if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                if (--depth == 0) {
                    return i + 1;
                }
            } else if (KIND[c & 0xff] == 0) {
                return i >= limit ? CUT : BAD;
            }
            i++;
        }
    }

    /** Whether {@code b[from, to)} is exactly {@code text}. */
    static boolean is(byte[] b, int from, int to, String text) {
        if (to - from != text.length()) {
            return false;
        }
        for (int i = 0; i < text.length(); i++) {
            if (b[from + i] != text.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    /** Index of {@code text} in {@code b[from, to)}, -1 when it is not there. */
    static int find(byte[] b, int from, int to, byte[] text) {
        for (int i = from; i + text.length <= to; i++) {
            int k = 0;
            while (k < text.length && b[i + k] == text[k]) {
                k++;
            }
            if (k == text.length) {
                return i;
            }
        }
        return -1;
    }

    /** The text of a string, escapes resolved; what is not UTF-8 becomes U+FFFD. */
    static String text(byte[] b, int from, int to) {
        String raw = new String(b, from, to - from, StandardCharsets.UTF_8);
        if (raw.indexOf('\\') < 0) {
            return raw;
        }
        StringBuilder text = new StringBuilder(raw.length());
        for (int i = 0; i < raw.length(); i++) {
            char c = raw.charAt(i);
            if (c != '\\' || i + 1 == raw.length()) {
                text.append(c);
                continue;
            }
            char escape = raw.charAt(++i);
            switch (escape) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case 'u' -> i = unicode(raw, i, text);
                default -> text.append(escape);
            }
        }
        return text.toString();
    }

    private static int unicode(String raw, int at, StringBuilder text) {
        if (at + 4 < raw.length()) {
            try {
                text.append((char) Integer.parseInt(raw, at + 1, at + 5, 16));
                return at + 4;
            } catch (NumberFormatException e) {
                text.append("\\u");
                return at;
            }
        }
        text.append("\\u");
        return at;
    }
}
