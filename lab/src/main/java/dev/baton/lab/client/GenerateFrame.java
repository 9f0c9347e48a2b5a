package dev.baton.lab.client;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * What timing needs of one {@code /generate} frame, found without parsing it: frames carry the whole text again, and a
 * parser would spend more time on them than the server under test. A quote inside a JSON string is always escaped, so
 * {@code "completion_tokens":} cannot stand inside one. Whatever the scan is not sure of is left to the parser.
 *
 * @param hasText the cumulative text is not empty
 * @param completionTokens tokens so far
 */
record GenerateFrame(boolean hasText, int completionTokens) {
    private static final byte[] TEXT = "\"text\":".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] COMPLETION = "\"completion_tokens\":".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] FINISH = "\"finish_reason\":".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] ERROR = "\"error\":".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] NULL = "null".getBytes(StandardCharsets.US_ASCII);

    /** The frame in {@code bytes[from, to)}, or null when it is the last, an error, or of another shape. */
    static @Nullable GenerateFrame scan(byte[] bytes, int from, int to) {
        int finish = Bytes.lastIndexOf(bytes, from, to, FINISH);
        if (finish < 0 || !Bytes.startsWith(bytes, Bytes.skipSpaces(bytes, finish + FINISH.length, to), to, NULL)) {
            return null;
        }
        int completion = Bytes.lastIndexOf(bytes, from, to, COMPLETION);
        int text = Bytes.indexOf(bytes, from, to, TEXT);
        if (completion < 0 || text < 0 || Bytes.indexOf(bytes, from, Math.min(to, from + 64), ERROR) >= 0) {
            return null;
        }
        int value = Bytes.skipSpaces(bytes, text + TEXT.length, to);
        if (value + 1 >= to || bytes[value] != '"') {
            return null;
        }
        int digit = Bytes.skipSpaces(bytes, completion + COMPLETION.length, to);
        int tokens = 0;
        int digits = 0;
        while (digit < to && bytes[digit] >= '0' && bytes[digit] <= '9' && digits < 9) {
            tokens = tokens * 10 + bytes[digit] - '0';
            digit++;
            digits++;
        }
        return digits == 0 || digits == 9 ? null : new GenerateFrame(bytes[value + 1] != '"', tokens);
    }
}
