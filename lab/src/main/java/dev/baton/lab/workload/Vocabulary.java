package dev.baton.lab.workload;

import org.jspecify.annotations.Nullable;

/**
 * What is known of the model's tokens.
 *
 * @param size ids run from 0 to this, exclusive; 0 when unknown
 * @param codec the tokenizer; null sends token ids instead of text and counts output tokens as the server does
 */
public record Vocabulary(int size, @Nullable TextCodec codec) {
    /** A vocabulary of which only the size is known. */
    public static Vocabulary ofSize(int size) {
        return new Vocabulary(size, null);
    }

    /** The vocabulary of a tokenizer. */
    public static Vocabulary of(TextCodec codec) {
        return new Vocabulary(codec.vocabularySize(), codec);
    }
}
