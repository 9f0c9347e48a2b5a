package dev.baton.engine.balance;

import java.util.Locale;

/** Which replica of an expert a token goes to: {@code --ep-dispatch-algorithm}. */
public enum DispatchAlgorithm {
    /** A fixed one for each source rank: the rank's own, else one of its node, else one of a fair share of all. */
    STATIC,
    /** A random one for each token. */
    DYNAMIC,
    /** Random experts instead of the gate's, then a random replica: an even load to measure with. */
    FAKE;

    /** The flag's value. */
    public static DispatchAlgorithm of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }
}
