package dev.baton.model.tokenizer;

import java.util.Arrays;

/**
 * Streaming decode for tokenizers whose decoder is not known: everything is decoded anew for each token, and what has
 * not been given out follows when it extends it. Costs the length of the stream a token.
 */
final class WholeDecoder implements IncrementalDecoder {
    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private int[] ids = new int[64];
    private int count;
    private String given = "";

    WholeDecoder(Tokenizer tokenizer, boolean skipSpecial) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
    }

    @Override
    public void append(int id, StringBuilder out) {
        if (count == ids.length) {
            ids = Arrays.copyOf(ids, count * 2);
        }
        ids[count++] = id;
        String whole = tokenizer.decode(Arrays.copyOf(ids, count), skipSpecial);
        if (!whole.endsWith("\uFFFD")) {
            give(whole, out);
        }
    }

    @Override
    public void flush(StringBuilder out) {
        give(tokenizer.decode(Arrays.copyOf(ids, count), skipSpecial), out);
        count = 0;
        given = "";
    }

    private void give(String whole, StringBuilder out) {
        if (whole.startsWith(given)) {
            out.append(whole, given.length(), whole.length());
            given = whole;
        }
    }
}
