package dev.baton.app;

import dev.baton.engine.request.TokenText;
import dev.baton.model.tokenizer.IncrementalDecoder;

/** The tokenizer's streaming decoder, as the engine asks for it. */
record DecodedText(IncrementalDecoder decoder) implements TokenText {
    @Override
    public String push(int tokenId) {
        return decoder.append(tokenId);
    }

    @Override
    public String finish() {
        return decoder.flush();
    }
}
