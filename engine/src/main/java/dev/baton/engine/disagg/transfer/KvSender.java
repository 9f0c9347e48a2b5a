package dev.baton.engine.disagg.transfer;

import dev.baton.tensor.DeviceExchange;
import org.jspecify.annotations.Nullable;

/** The prefill side of one room. Thread-safe; nothing here waits for the peer. */
public interface KvSender extends AutoCloseable {
    long room();

    /** Where the room stands; also applies its deadlines. */
    KvPoll poll();

    /** Why it failed; null unless {@link #poll} is FAILED. */
    @Nullable
    String failure();

    /**
     * Queues pages that are complete. Legal from WAITING_FOR_INPUT on; after a failure it does nothing. The order of the
     * pages is that of the prompt: page {@code pages[i]} of this rank's cache holds the tokens from position
     * {@code (firstPage + i) * pageTokens} on. Every page of every layer is sent exactly once before {@link #finish}.
     *
     * @param rank of the group, that holds them
     * @param fromLayer first layer, of the whole model; layers of other stages are passed over
     * @param toLayer one past the last layer
     * @param firstPage which page of the prompt {@code pages[0]} is
     * @param pages page numbers in this rank's cache; not written after the call
     * @param mark what the rank's device passes when they are written, see {@link KvRegion#mark}
     */
    void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages, long mark);

    /** Queues pages that are written. */
    default void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages) {
        send(rank, fromLayer, toLayer, firstPage, pages, DeviceExchange.NOTHING);
    }

    /**
     * What was sent so far does not count: every page follows again, from other places of this cache. For a prompt that
     * is computed again because its memory was needed; pages under way may still be read.
     */
    void restart();

    /** Everything was handed to {@link #send}: sends the record behind the pages. */
    void finish(AuxRecord aux);

    /** Fails the room on both sides. Does nothing once it is final. */
    void abort(String reason);

    /** True when the room is final and no copy reads this side's pages any more: they may be given to others. */
    boolean released();

    /** Bytes sent so far. */
    long sentBytes();

    /** Forgets the room, aborting it when it is not final. */
    @Override
    void close();
}
