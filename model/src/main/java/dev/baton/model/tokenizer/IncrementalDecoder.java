package dev.baton.model.tokenizer;

/**
 * Decodes a stream of tokens. All that {@link #append} and {@link #flush} add, concatenated, equals the decoding of the
 * whole; no part of a UTF-8 sequence is ever given out.
 */
public interface IncrementalDecoder {
    /** Takes the next token and adds the text that is now certain, perhaps none, to {@code out}. */
    void append(int id, StringBuilder out);

    /** Ends the stream: adds what was held back (an unfinished sequence becomes U+FFFD). The decoder can be used anew. */
    void flush(StringBuilder out);

    /** As {@link #append(int, StringBuilder)}. */
    default String append(int id) {
        StringBuilder out = new StringBuilder();
        append(id, out);
        return out.toString();
    }

    /** As {@link #flush(StringBuilder)}. */
    default String flush() {
        StringBuilder out = new StringBuilder();
        flush(out);
        return out.toString();
    }
}
