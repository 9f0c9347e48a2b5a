package dev.baton.engine.request;

/** Turns the tokens of one answer into text, token by token. */
public interface TokenText {
    /** The text that this token completed: whole characters only, often empty. */
    String push(int tokenId);

    /** What is still held back at the end of the answer, incomplete characters as U+FFFD. */
    String finish();

    /** Opens one for a request: called by whoever submits it, used on the scheduler's thread. */
    @FunctionalInterface
    interface Factory {
        /** @param request its prompt and how special tokens are to be treated */
        TokenText open(EngineRequest request);
    }
}
