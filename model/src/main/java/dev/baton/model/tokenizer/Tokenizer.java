package dev.baton.model.tokenizer;

import java.nio.file.Path;

/**
 * Text to token ids and back, as the model's own tokenizer does it. Safe for use by several threads.
 *
 * <p>Ids from {@link #vocabSize()} upward (a model's padded vocabulary) decode to nothing.
 */
public interface Tokenizer extends AutoCloseable {
    /**
     * Reads {@code tokenizer.json} and {@code tokenizer_config.json} of a model folder. Byte-level BPE and SentencePiece
     * BPE are encoded by own code; anything else by the Hugging Face library, see {@link #description()}.
     *
     * @throws dev.baton.model.ModelException NOT_FOUND or INVALID_TOKENIZER
     */
    static Tokenizer load(Path folder) {
        return TokenizerLoader.load(folder);
    }

    /**
     * Token ids of {@code text}. Added tokens (such as {@code <|im_start|>}) in the text become their ids in any case.
     *
     * @param addSpecialTokens put before and after what the tokenizer's post-processor adds (a begin token)
     */
    int[] encode(String text, boolean addSpecialTokens);

    /**
     * The text of {@code ids}; bytes that are no UTF-8 become U+FFFD.
     *
     * @param skipSpecial leave special tokens out
     */
    String decode(int[] ids, boolean skipSpecial);

    /** A decoder that yields text while tokens arrive; for one thread. */
    IncrementalDecoder incrementalDecoder(boolean skipSpecial);

    /** The bytes that the token contributes to a text; empty for ids without a token. Not to be changed. */
    byte[] tokenBytes(int id);

    /** The token as the vocabulary writes it (byte-level tokens in the GPT-2 alphabet); empty for ids without a token. */
    String tokenText(int id);

    /** The id of a token as the vocabulary writes it, -1 when there is none. */
    int idOf(String token);

    /** Whether {@code id} is a special token, one that {@code skipSpecial} leaves out. */
    boolean isSpecial(int id);

    /** Largest id + 1. */
    int vocabSize();

    /** What encodes, and if it is the library, why. */
    String description();

    @Override
    void close();
}
