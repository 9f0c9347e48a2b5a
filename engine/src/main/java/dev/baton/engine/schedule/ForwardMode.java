package dev.baton.engine.schedule;

/** What a step computes. */
public enum ForwardMode {
    /** Prompt tokens, whole or a chunk, after a cached prefix or not. */
    EXTEND,
    /** One token a sequence. */
    DECODE,
    /** No tokens: the rank only takes part in collectives. */
    IDLE
}
