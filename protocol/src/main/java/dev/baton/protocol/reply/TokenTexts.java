package dev.baton.protocol.reply;

/** Text and bytes of single tokens, for log probabilities. */
public interface TokenTexts {
    /** The token's text; bytes that are no whole character become U+FFFD. */
    String text(int id);

    /** The token's bytes. */
    byte[] bytes(int id);
}
