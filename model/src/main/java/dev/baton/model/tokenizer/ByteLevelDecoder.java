package dev.baton.model.tokenizer;

/** Streaming decode of byte-level vocabularies: the tokens' bytes, decoded as UTF-8. */
final class ByteLevelDecoder implements IncrementalDecoder {
    private final TokenTable table;
    private final boolean skipSpecial;
    private final Utf8Decoder utf8 = new Utf8Decoder();

    ByteLevelDecoder(TokenTable table, boolean skipSpecial) {
        this.table = table;
        this.skipSpecial = skipSpecial;
    }

    @Override
    public void append(int id, StringBuilder out) {
        if (skipSpecial && table.special(id)) {
            return;
        }
        byte[] bytes = table.bytes(id);
        utf8.feed(bytes, bytes.length, out);
    }

    @Override
    public void flush(StringBuilder out) {
        utf8.finish(out);
    }
}
