package dev.baton.protocol.reply;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A growing array of UTF-8 JSON bytes. The caller writes the punctuation; this class writes numbers and escapes text.
 * One is reused for many frames, so a streamed token costs no tree and no generator. Not for several threads.
 */
public final class JsonBytes {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.ISO_8859_1);
    private static final byte[] NULL = "null".getBytes(StandardCharsets.ISO_8859_1);
    private static final byte[] TRUE = "true".getBytes(StandardCharsets.ISO_8859_1);
    private static final byte[] FALSE = "false".getBytes(StandardCharsets.ISO_8859_1);

    /** 0: written as it is; 'u': six-byte escape; else the letter after the backslash. */
    private static final byte[] ESCAPES = new byte[128];

    static {
        Arrays.fill(ESCAPES, 0, 0x20, (byte) 'u');
        ESCAPES['\b'] = 'b';
        ESCAPES['\t'] = 't';
        ESCAPES['\n'] = 'n';
        ESCAPES['\f'] = 'f';
        ESCAPES['\r'] = 'r';
        ESCAPES['"'] = '"';
        ESCAPES['\\'] = '\\';
    }

    private byte[] bytes;
    private int length;

    public JsonBytes(int capacity) {
        bytes = new byte[Math.max(16, capacity)];
    }

    /** The array, of which the first {@link #length} bytes count; it changes when more is written. */
    public byte[] array() {
        return bytes;
    }

    public int length() {
        return length;
    }

    public byte[] toByteArray() {
        return Arrays.copyOf(bytes, length);
    }

    /** Forgets what was written and keeps the array. */
    public JsonBytes clear() {
        length = 0;
        return this;
    }

    /** Takes back everything after the first {@code length} bytes. */
    public void truncate(int newLength) {
        length = newLength;
    }

    /** Gives back an array that one huge reply has grown. */
    public void shrinkTo(int capacity) {
        if (bytes.length > capacity && length <= capacity) {
            bytes = Arrays.copyOf(bytes, capacity);
        }
    }

    /** Bytes as they are. */
    public JsonBytes raw(byte[] source) {
        return raw(source, 0, source.length);
    }

    public JsonBytes raw(byte[] source, int offset, int count) {
        reserve(count);
        System.arraycopy(source, offset, bytes, length, count);
        length += count;
        return this;
    }

    /** ASCII text as it is: punctuation and keys. */
    @SuppressWarnings("deprecation") // the cheap copy of an ASCII string
    public JsonBytes raw(String ascii) {
        int count = ascii.length();
        reserve(count);
        ascii.getBytes(0, count, bytes, length);
        length += count;
        return this;
    }

    public JsonBytes raw(char ascii) {
        reserve(1);
        bytes[length++] = (byte) ascii;
        return this;
    }

    /** A quoted, escaped string, or null. */
    public JsonBytes string(@Nullable CharSequence text) {
        return text == null ? raw(NULL) : raw('"').escaped(text).raw('"');
    }

    /** Escaped text without quotes. A lone surrogate becomes U+FFFD. */
    public JsonBytes escaped(CharSequence text) {
        int count = text.length();
        reserve(count * 6);
        byte[] out = bytes;
        int at = length;
        for (int i = 0; i < count; i++) {
            char c = text.charAt(i);
            if (c < 0x80) {
                byte escape = ESCAPES[c];
                if (escape == 0) {
                    out[at++] = (byte) c;
                } else {
                    at = escape(out, at, c, escape);
                }
            } else if (c < 0x800) {
                out[at++] = (byte) (0xC0 | c >> 6);
                out[at++] = (byte) (0x80 | c & 0x3F);
            } else if (Character.isHighSurrogate(c) && i + 1 < count && Character.isLowSurrogate(text.charAt(i + 1))) {
                int point = Character.toCodePoint(c, text.charAt(++i));
                out[at++] = (byte) (0xF0 | point >> 18);
                out[at++] = (byte) (0x80 | point >> 12 & 0x3F);
                out[at++] = (byte) (0x80 | point >> 6 & 0x3F);
                out[at++] = (byte) (0x80 | point & 0x3F);
            } else {
                char known = Character.isSurrogate(c) ? '\uFFFD' : c;
                out[at++] = (byte) (0xE0 | known >> 12);
                out[at++] = (byte) (0x80 | known >> 6 & 0x3F);
                out[at++] = (byte) (0x80 | known & 0x3F);
            }
        }
        length = at;
        return this;
    }

    private static int escape(byte[] out, int start, char c, byte escape) {
        int at = start;
        out[at++] = '\\';
        out[at++] = escape;
        if (escape == 'u') {
            out[at++] = '0';
            out[at++] = '0';
            out[at++] = HEX[c >> 4];
            out[at++] = HEX[c & 15];
        }
        return at;
    }

    public JsonBytes number(long value) {
        reserve(20);
        if (value < 0) {
            if (value == Long.MIN_VALUE) {
                return raw("-9223372036854775808");
            }
            bytes[length++] = '-';
        }
        long rest = Math.abs(value);
        int digits = 1;
        for (long bound = 10; digits < 19 && rest >= bound; bound *= 10) {
            digits++;
        }
        for (int i = length + digits - 1; i >= length; i--) {
            bytes[i] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
        length += digits;
        return this;
    }

    /** A number, or null where JSON has none (NaN, infinities); epoch seconds stay without an exponent. */
    public JsonBytes number(double value) {
        if (!Double.isFinite(value)) {
            return raw(NULL);
        }
        if (Math.abs(value) < 1e7 || Math.abs(value) >= 1e15) {
            return raw(Double.toString(value));
        }
        long millis = Math.round(value * 1e3);
        if (value < 0 || millis / 1e3 != value) {
            return raw(new BigDecimal(Double.toString(value)).toPlainString());
        }
        number(millis / 1_000).raw('.');
        long fraction = millis % 1_000;
        raw((char) ('0' + fraction / 100)).raw((char) ('0' + fraction / 10 % 10));
        return raw((char) ('0' + fraction % 10));
    }

    /** A number with the digits of a float, or null where JSON has none. */
    public JsonBytes number(float value) {
        return Float.isFinite(value) ? raw(Float.toString(value)) : raw(NULL);
    }

    public JsonBytes bool(boolean value) {
        return raw(value ? TRUE : FALSE);
    }

    public JsonBytes nullValue() {
        return raw(NULL);
    }

    /** {@code "name":} after a comma unless it is the object's first field. */
    public JsonBytes key(String name) {
        if (length > 0 && bytes[length - 1] != '{') {
            raw(',');
        }
        return string(name).raw(':');
    }

    /** Any value made of maps, collections, arrays of int, text, numbers, booleans and null; others as their text. */
    public JsonBytes value(@Nullable Object value) {
        return switch (value) {
            case null -> raw(NULL);
            case Boolean b -> bool(b);
            case Float f -> number(f.floatValue());
            case Double d -> number(d.doubleValue());
            case Integer i -> number(i.longValue());
            case Long l -> number(l.longValue());
            case Short s -> number(s.longValue());
            case Map<?, ?> map -> {
                raw('{');
                map.forEach((name, entry) -> key(String.valueOf(name)).value(entry));
                yield raw('}');
            }
            case Collection<?> list -> {
                raw('[');
                boolean first = true;
                for (Object entry : list) {
                    if (!first) {
                        raw(',');
                    }
                    first = false;
                    value(entry);
                }
                yield raw(']');
            }
            case int[] ids -> ids(ids, ids.length);
            default -> string(value.toString());
        };
    }

    /** {@code [1,2,3]}: the first {@code count} ids. */
    public JsonBytes ids(int[] ids, int count) {
        raw('[');
        idList(ids, count);
        return raw(']');
    }

    /** {@code 1,2,3}. */
    public JsonBytes idList(int[] ids, int count) {
        for (int i = 0; i < count; i++) {
            if (i > 0) {
                raw(',');
            }
            number(ids[i]);
        }
        return this;
    }

    private void reserve(int count) {
        int needed = Math.addExact(length, count);
        if (needed > bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.max(needed, (int) Math.min(Integer.MAX_VALUE - 16L, bytes.length * 2L)));
        }
    }

    @Override
    public String toString() {
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }
}
