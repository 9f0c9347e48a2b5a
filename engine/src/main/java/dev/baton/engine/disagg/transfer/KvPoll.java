package dev.baton.engine.disagg.transfer;

/** How far one room is, on either side. The order matters: the state of a room is the least of its parts' states. */
public enum KvPoll {
    /** Ended by an error, a time-out or an abort; the reason is beside it. */
    FAILED,
    /** The two servers have not found each other yet. */
    BOOTSTRAPPING,
    /** Prefill: the destination pages are known. Decode: the prefill server is connected, pages can be reserved. */
    WAITING_FOR_INPUT,
    /** Prefill: pages are being sent. Decode: the prefill server knows the destination pages. */
    TRANSFERRING,
    /** Every page and the first token have arrived. */
    SUCCESS;

    /** The lesser of the two. */
    public KvPoll min(KvPoll other) {
        return compareTo(other) <= 0 ? this : other;
    }

    /** True for {@link #FAILED} and {@link #SUCCESS}: nothing changes any more. */
    public boolean isFinal() {
        return this == FAILED || this == SUCCESS;
    }
}
