package dev.baton.model.tokenizer;

/**
 * Streaming decode of SentencePiece vocabularies with byte fallback. A run of byte tokens is decoded when it ends: as
 * UTF-8 when all of it is, otherwise as one U+FFFD a byte, which is what the library does. The space that the normalizer
 * put in front of the text is dropped.
 */
final class SentencePieceDecoder implements IncrementalDecoder {
    private final TokenTable table;
    private final boolean skipSpecial;
    private final boolean stripLeadingSpace;
    private final StringBuilder run = new StringBuilder();
    private Utf8Decoder utf8 = new Utf8Decoder();
    private int runBytes;
    private boolean begun;

    SentencePieceDecoder(TokenTable table, boolean skipSpecial, boolean stripLeadingSpace) {
        this.table = table;
        this.skipSpecial = skipSpecial;
        this.stripLeadingSpace = stripLeadingSpace;
    }

    @Override
    public void append(int id, StringBuilder out) {
        if ((skipSpecial && table.special(id)) || !table.has(id)) {
            return;
        }
        byte[] bytes = table.bytes(id);
        if (TokenTable.isByteToken(table.text(id))) {
            runBytes++;
            utf8.feed(bytes, 1, run);
            return;
        }
        endRun(out);
        emit(table.text(id).replace('\u2581', ' '), out);
    }

    @Override
    public void flush(StringBuilder out) {
        endRun(out);
        begun = false;
    }

    private void endRun(StringBuilder out) {
        if (runBytes == 0) {
            return;
        }
        String text = utf8.valid() ? run.toString() : "\uFFFD".repeat(runBytes);
        run.setLength(0);
        runBytes = 0;
        utf8 = new Utf8Decoder();
        emit(text, out);
    }

    private void emit(String text, StringBuilder out) {
        if (text.isEmpty()) {
            return;
        }
        boolean strip = !begun && stripLeadingSpace && text.startsWith(" ");
        begun = true;
        out.append(text, strip ? 1 : 0, text.length());
    }
}
