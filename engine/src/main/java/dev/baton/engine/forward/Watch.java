package dev.baton.engine.forward;

import dev.baton.engine.forward.RankObserver.Phase;
import org.jspecify.annotations.Nullable;

/** Who watches a rank's steps, if anybody does. */
record Watch(@Nullable RankObserver observer) {
    static final Watch NONE = new Watch(null);

    void began(Phase phase) {
        if (observer != null) {
            observer.phaseBegan(phase);
        }
    }

    void ended(Phase phase) {
        if (observer != null) {
            observer.phaseEnded(phase);
        }
    }
}
