package dev.baton.engine.schedule;

import org.jspecify.annotations.Nullable;

/**
 * What a server's role adds around the waiting queue and the running batch. {@link UnifiedRole} adds nothing; the two
 * roles of disaggregated serving are extensions of this interface. Every method is called on the scheduler's thread and
 * must not block; another thread that has news for the role calls {@link SchedulerPort#wake}.
 *
 * <p><b>Prefill role.</b> {@link #enqueue} puts a request in a bootstrap queue; when the decode side has told its
 * pages, {@link #poll} calls {@link SchedulerPort#admit}. The scheduler then prefills as always. After each chunk's
 * result {@link #chunkComputed} is called, and the KV of positions {@code [0, to)} (whole pages, or all when it was the
 * last chunk) may be sent from {@link Request#slots}; the next chunk may be running by then. Because
 * {@link #decodes} is false the request does not enter the running batch but keeps its slots and row in phase
 * {@code ROLE}, with its first token known ({@link Request#lastId}) and not yet sent. When the transfer has ended,
 * {@link #poll} calls {@link SchedulerPort#finish} with {@code Length(0)}, which sends the token, frees everything and
 * leaves the prompt in the prefix cache.
 *
 * <p><b>Decode role.</b> {@link #enqueue} puts a request in a pre-allocation queue. {@link #poll} shakes hands and, in
 * order of arrival, calls {@link SchedulerPort#reserve}: slots and a row for the whole prompt, or false while the rule
 * for reserved decode tokens forbids it. The slots are then the transfer's destination. When the KV has arrived,
 * {@link #poll} calls {@link SchedulerPort#enterDecode} with the first token, which is sent to the client, and the
 * request joins the running batch: its first plan carries the row's slots and ids and the token's id. A request that
 * is retracted there is offered to {@link #retracted}; otherwise it goes to the waiting queue and is computed again.
 *
 * <p><b>Ends.</b> When a request in phase {@code ROLE} is aborted, {@link #withdraw} is called: the role forgets it and
 * says whether its slots may be reused now. If not (the other side may still write to them), the role calls
 * {@link SchedulerPort#release} later. A failed transfer is told by {@link SchedulerPort#finish} with an Abort.
 */
public interface RoleQueues extends AutoCloseable {

    /**
     * Part of the batch log lines and of {@code RankState}.
     *
     * @param beforeWaiting bootstrap or pre-allocation queue
     * @param inTransfer in-flight or transfer queue
     * @param heldTokens KV tokens that requests in transfer hold
     * @param queuedTokens prompt tokens of all requests in the role's queues
     */
    record Counts(int beforeWaiting, int inTransfer, long heldTokens, long queuedTokens) {
        public static final Counts NONE = new Counts(0, 0, 0, 0);
    }

    /** {@code null} for none, or {@code prefill} or {@code decode}, as {@code --disaggregation-mode} says. */
    @Nullable
    String name();

    /** A new request, in phase {@code ROLE}. */
    void enqueue(Request request);

    /**
     * Moves requests along, once in each round of the loop.
     *
     * @return true while something outside is awaited, so that an idle loop comes back within a millisecond or so
     */
    boolean poll();

    /** Whether a request goes on to decode here after its prompt. */
    boolean decodes();

    /**
     * The result of a prefill step has arrived.
     *
     * @param request whose slots of {@code [0, to)} now hold KV
     * @param from first position that the step computed
     * @param to the position after the last one
     * @param last whether the prompt is complete; on a role that does not decode the request is then in phase
     *     {@code ROLE} and is the role's
     */
    void chunkComputed(Request request, int from, int to, boolean last);

    /** A request in phase {@code ROLE} has ended; true when its memory may be reused at once. */
    boolean withdraw(Request request);

    /**
     * A running request must give its memory back; no step is in flight. The role may copy the KV of
     * {@link Request#slots} elsewhere and keep the request, in phase {@code ROLE}, until {@link SchedulerPort#restore};
     * its slots are given to others when this returns.
     *
     * @return false when the scheduler shall compute the request again
     */
    default boolean retracted(Request request) {
        return false;
    }

    /** Requests that {@link #retracted} keeps. */
    default int retractedRequests() {
        return 0;
    }

    Counts counts();

    /** Ends transfers and threads; every request has been withdrawn before. */
    @Override
    void close();

    /** Makes the role of one DP rank. */
    @FunctionalInterface
    interface Factory {
        RoleQueues open(SchedulerPort scheduler, StepExecutor executor, int dpRank);
    }
}
