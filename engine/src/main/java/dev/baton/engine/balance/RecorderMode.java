package dev.baton.engine.balance;

import java.util.Locale;

/** What is recorded of the experts' loads: {@code --expert-distribution-recorder-mode}. */
public enum RecorderMode {
    /** Tokens of each expert in each pass, all ranks together. */
    STAT,
    /** The same from what ranks receive; as Baton counts every token where it is routed, there is nothing approximate. */
    STAT_APPROX,
    /** Tokens of each slot in each pass, one file a rank. */
    PER_PASS,
    /** And what every token chose. */
    PER_TOKEN;

    /** The flag's value. */
    public static RecorderMode of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    /** Whether ranks write files of their own. */
    boolean isPerRank() {
        return this == PER_PASS || this == PER_TOKEN;
    }
}
