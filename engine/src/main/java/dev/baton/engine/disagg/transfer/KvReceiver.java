package dev.baton.engine.disagg.transfer;

import org.jspecify.annotations.Nullable;

/** The decode side of one room. Thread-safe; nothing here waits for the peer. */
public interface KvReceiver extends AutoCloseable {
    long room();

    /** Where the room stands; also applies its deadlines. */
    KvPoll poll();

    /** Why it failed; null unless {@link #poll} is FAILED. */
    @Nullable
    String failure();

    /**
     * Tells the prefill server where the pages of the prompt go, the same page numbers on every rank of this group.
     * Legal once, in WAITING_FOR_INPUT; after a failure it does nothing.
     */
    void reserve(int[] pages);

    /** The record behind the pages; legal in SUCCESS. */
    AuxRecord aux();

    /** Fails the room on both sides. Does nothing once it is final. */
    void abort(String reason);

    /**
     * True when the room is final and nobody writes the reserved pages any more: they may be given to others. After a
     * failure this can lag behind {@link #poll} until the prefill server has confirmed or is gone.
     */
    boolean released();

    /** Forgets the room, aborting it when it is not final. */
    @Override
    void close();
}
