package dev.baton.model.tokenizer;

/**
 * Decodes UTF-8 that arrives in pieces. Malformed input becomes one U+FFFD for each maximal part of a sequence (the
 * Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts"), as the Hugging Face library does.
 */
final class Utf8Decoder {
    private static final char REPLACEMENT = '\uFFFD';

    /** Bytes still missing from the current sequence. */
    private int needed;
    /** Bits of the current sequence so far. */
    private int bits;
    /** Range of the next continuation byte. */
    private int lower = 0x80;

    private int upper = 0xBF;
    private boolean malformed;

    void feed(byte[] bytes, int length, StringBuilder out) {
        for (int i = 0; i < length; i++) {
            int b = bytes[i] & 0xFF;
            if (needed == 0) {
                begin(b, out);
            } else if (b < lower || b > upper) {
                reset();
                replace(out);
                begin(b, out);
            } else {
                lower = 0x80;
                upper = 0xBF;
                bits = bits << 6 | b & 0x3F;
                if (--needed == 0) {
                    out.appendCodePoint(bits);
                }
            }
        }
    }

    /** Ends the text: an unfinished sequence becomes U+FFFD. */
    void finish(StringBuilder out) {
        if (needed > 0) {
            replace(out);
            reset();
        }
    }

    /** Whether the bytes fed so far are UTF-8, no sequence unfinished. A U+FFFD that was written in them is. */
    boolean valid() {
        return needed == 0 && !malformed;
    }

    private void begin(int b, StringBuilder out) {
        if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xC2 && b <= 0xDF) {
            needed = 1;
            bits = b & 0x1F;
        } else if (b >= 0xE0 && b <= 0xEF) {
            needed = 2;
            bits = b & 0x0F;
            lower = b == 0xE0 ? 0xA0 : 0x80;
            upper = b == 0xED ? 0x9F : 0xBF;
        } else if (b >= 0xF0 && b <= 0xF4) {
            needed = 3;
            bits = b & 0x07;
            lower = b == 0xF0 ? 0x90 : 0x80;
            upper = b == 0xF4 ? 0x8F : 0xBF;
        } else {
            replace(out);
        }
    }

    private void replace(StringBuilder out) {
        malformed = true;
        out.append(REPLACEMENT);
    }

    private void reset() {
        needed = 0;
        lower = 0x80;
        upper = 0xBF;
    }
}
