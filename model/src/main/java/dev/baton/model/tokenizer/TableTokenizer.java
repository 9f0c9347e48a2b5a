package dev.baton.model.tokenizer;

/** What tokenizers have in common whose vocabulary is a {@link TokenTable}. */
abstract class TableTokenizer implements Tokenizer {
    final TokenTable table;

    TableTokenizer(TokenTable table) {
        this.table = table;
    }

    @Override
    public String decode(int[] ids, boolean skipSpecial) {
        StringBuilder out = new StringBuilder(ids.length * 4);
        IncrementalDecoder decoder = incrementalDecoder(skipSpecial);
        for (int id : ids) {
            decoder.append(id, out);
        }
        decoder.flush(out);
        return out.toString();
    }

    @Override
    public byte[] tokenBytes(int id) {
        return table.bytes(id);
    }

    @Override
    public String tokenText(int id) {
        return table.text(id);
    }

    @Override
    public int idOf(String token) {
        return table.idOf(token);
    }

    @Override
    public boolean isSpecial(int id) {
        return table.special(id);
    }

    @Override
    public int vocabSize() {
        return table.size();
    }

    @Override
    public void close() {}
}
