package dev.baton.engine.grammar;

import org.jspecify.annotations.Nullable;

/** A stack of states, as its top and what lies below. Immutable; equal when all its states are. */
final class Frame {
    final int state;
    final @Nullable Frame below;
    private final int hash;

    Frame(int state, @Nullable Frame below) {
        this.state = state;
        this.below = below;
        this.hash = 31 * (below == null ? 17 : below.hash) + state * 0x9E3779B1;
    }

    @Override
    public boolean equals(@Nullable Object o) {
        Frame a = this;
        Frame b = o instanceof Frame f ? f : null;
        while (a != b) {
            if (a == null || b == null || a.hash != b.hash || a.state != b.state) {
                return false;
            }
            a = a.below;
            b = b.below;
        }
        return true;
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
