package dev.baton.model.tokenizer;

/** A tokenizer.json that the own encoder does not reproduce; never leaves this package: the library takes over. */
final class UnsupportedTokenizerException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    UnsupportedTokenizerException(String reason) {
        super(reason);
    }
}
