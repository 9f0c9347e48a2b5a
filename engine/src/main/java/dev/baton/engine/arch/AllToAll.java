package dev.baton.engine.arch;

/** How tokens reach their experts: {@code --moe-a2a-backend} and {@code --deepep-mode}. */
public enum AllToAll {
    /** Every rank sees every token and computes its own experts; results are summed. */
    NONE,
    /** Tokens travel in as many rows as there are: counts travel first. */
    NORMAL,
    /** Tokens travel in a fixed number of rows from every rank to every rank: nothing has to be known before. */
    LOW_LATENCY,
    /** {@link #NORMAL} for steps in which anybody prefills, {@link #LOW_LATENCY} for the others. */
    AUTO
}
