package dev.baton.engine.disagg;

import java.util.concurrent.CompletableFuture;

/** Keeps the KV of retracted requests outside the pool. On the scheduler's thread; the copies run on the ranks'. */
public interface HostOffload {
    /** KV that was copied out. */
    interface Saved {
        /** Completes when the copy stands; fails when a rank failed. */
        CompletableFuture<Void> done();

        /** Gives its memory back. */
        void discard();
    }

    /** Copies the slots' KV after every step that was launched, and before any that follows. */
    Saved save(int[] slots);

    /** Copies it into other slots, as many, before any step that follows; and discards it. */
    void restore(Saved saved, int[] slots);
}
