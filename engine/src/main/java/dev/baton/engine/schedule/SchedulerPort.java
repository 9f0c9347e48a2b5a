package dev.baton.engine.schedule;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.protocol.FinishReason;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a role may ask of its scheduler; on the scheduler's thread, except for {@link #wake}. */
public interface SchedulerPort {
    SchedulerConfig config();

    /** KV slots that can be given out in all. */
    int totalTokens();

    /** KV slots that a request could get: free or evictable. */
    int availableTokens();

    /** Requests that may run at once: {@link #enterDecode} only while fewer run. */
    int runningLimit();

    /** Rows that no request holds. */
    int freeRows();

    /** Requests in the running batch, those in flight to their end included. */
    List<Request> running();

    /** Requests in the waiting queue. */
    int waitingRequests();

    /** Admission estimate. */
    double newTokenRatio();

    /** Puts a request in the waiting queue. */
    void admit(Request request);

    /**
     * Allocates slots and a row for the whole prompt (without looking at the prefix cache), so that KV can be written
     * from outside. The role decides beforehand how much to keep free.
     *
     * @return false when there is no memory or no row; nothing has changed then
     */
    boolean reserve(Request request);

    /**
     * Takes a reserved request whose prompt KV has arrived into the running batch.
     *
     * @param firstToken the token that the prefill side sampled
     * @param logprob its log probabilities, null when not asked for
     * @param inputLogprobs those of the prompt, empty when not asked for
     */
    void enterDecode(Request request, int firstToken, @Nullable TokenLogprob logprob, List<TokenLogprob> inputLogprobs);

    /** Sends what the request has and its finish, and frees its memory; {@link RoleQueues#withdraw} is not called. */
    void finish(Request request, FinishReason reason);

    /** Sends a finish to a request in phase {@code ROLE}; its memory stays until {@link #release}. */
    void finishKeeping(Request request, FinishReason reason);

    /**
     * Takes a request back that {@link RoleQueues#retracted} has kept: slots for the tokens that it had, a row, and a
     * place in the running batch. Its slots hold nothing yet: their KV must be written before the next step runs.
     *
     * @return false when there is no memory or no row; nothing has changed then
     */
    boolean restore(Request request);

    /** Frees the memory of a request for which {@link RoleQueues#withdraw} said false. */
    void release(Request request);

    /** Makes an idle loop poll its role soon; from any thread. */
    void wake();
}
