package dev.baton.engine.grammar;

import java.time.Duration;

/** How long a grammar may take to compile. */
final class Deadline {
    private final String field;
    private final Duration limit;
    private final long endNanos;

    Deadline(String field, Duration limit) {
        this.field = field;
        this.limit = limit;
        this.endNanos = System.nanoTime() + limit.toNanos();
    }

    /** Throws when the time is over. */
    void check() {
        if (isOver()) {
            throw GrammarFault.of(field, "it took more than " + limit.toSeconds() + " s to compile; make it smaller");
        }
    }

    boolean isOver() {
        return System.nanoTime() - endNanos > 0;
    }
}
