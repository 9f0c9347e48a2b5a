package dev.baton.engine.grammar;

import dev.baton.model.tokenizer.Tokenizer;
import java.util.BitSet;
import java.util.Collection;
import java.util.function.IntFunction;

/**
 * The tokens that a grammar is matched against. Special tokens write no text of an answer, so none of them is ever taken for
 * text; end tokens stand for the end. Immutable.
 */
public final class GrammarVocabulary {
    private static final byte[] NONE = {};

    private final IntFunction<byte[]> bytes;
    private final int size;
    private final int[] ends;
    private final TokenTrie trie;
    private final boolean[] writable;

    private GrammarVocabulary(int size, IntFunction<byte[]> bytes, Collection<Integer> endIds) {
        this.size = size;
        this.ends = endIds.stream()
                .mapToInt(Integer::intValue)
                .filter(id -> id >= 0 && id < size)
                .distinct()
                .toArray();
        BitSet isEnd = new BitSet();
        for (int id : ends) {
            isEnd.set(id);
        }
        this.bytes = id -> id < 0 || id >= size || isEnd.get(id) ? NONE : bytes.apply(id);
        this.trie = TokenTrie.of(size, this.bytes);
        this.writable = trie.singleBytes();
    }

    /**
     * @param size logits a position
     * @param endIds the model's end tokens
     */
    public static GrammarVocabulary of(Tokenizer tokenizer, int size, Collection<Integer> endIds) {
        return new GrammarVocabulary(size, id -> tokenizer.isSpecial(id) ? NONE : tokenizer.tokenBytes(id), endIds);
    }

    /** @param bytes of each token; empty for those that write no text */
    public static GrammarVocabulary of(int size, IntFunction<byte[]> bytes, Collection<Integer> endIds) {
        return new GrammarVocabulary(size, bytes, endIds);
    }

    /** Logits a position. */
    public int size() {
        return size;
    }

    /** Longs of a mask. */
    public int maskWords() {
        return MaskTable.words(size);
    }

    /** What the token writes; empty for special and end tokens. */
    byte[] bytes(int id) {
        return bytes.apply(id);
    }

    boolean isEnd(int id) {
        for (int end : ends) {
            if (end == id) {
                return true;
            }
        }
        return false;
    }

    /** Some end token; -1 when the model has none. */
    int anyEnd() {
        return ends.length == 0 ? -1 : ends[0];
    }

    void allowEnd(long[] mask) {
        for (int id : ends) {
            mask[id >> 6] |= 1L << id;
        }
    }

    TokenTrie trie() {
        return trie;
    }

    /** [256] bytes that are a token of their own: what may be generated without ever standing at a dead end. */
    boolean[] writable() {
        return writable;
    }
}
