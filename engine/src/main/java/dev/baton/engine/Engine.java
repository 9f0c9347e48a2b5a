package dev.baton.engine;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.OutputSink;
import dev.baton.protocol.ProfileRequest;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * A running model. Every method may be called from any thread and returns at once, except {@link #submit} with a new grammar. What concerns all ranks is answered
 * when every rank has taken it.
 */
public interface Engine extends AutoCloseable {
    /** What does not change while the engine runs. */
    EngineInfo info();

    /**
     * Queues a request. A grammar that is met for the first time is compiled before: the caller waits for that, bounded
     * by a deadline.
     *
     * @throws EngineException INVALID_REQUEST (too long, id out of range), QUEUE_FULL or UNAVAILABLE; nothing is
     *     queued then and the sink is never called
     */
    void submit(EngineRequest request, OutputSink sink);

    /** Ends every request whose id starts with the prefix; each gets a last output with an Abort finish. */
    void abort(String ridPrefix);

    /** Ends every request. */
    void abortAll();

    /** Runs after each step's outputs were handed to the sinks, on the scheduler's thread (to flush once a step). */
    void onStepEnd(Runnable listener);

    /** Empties the prefix cache; false when requests are waiting or running. */
    CompletableFuture<Boolean> flushCache();

    /** Every rank sleeps this long at the head of each step; 0 ends it. */
    CompletableFuture<Void> slowDown(double seconds);

    /**
     * Starts a profile on every rank.
     *
     * @return completes when started; fails with INVALID_REQUEST when one is in progress or the fields do not fit
     */
    CompletableFuture<Void> startProfile(ProfileRequest request);

    /** Stops the profile and completes when every rank has written its file; fails when none is in progress. */
    CompletableFuture<Void> stopProfile();

    /** Recording of the experts' loads. */
    default ExpertControl experts() {
        return ExpertControl.NONE;
    }

    /** One entry a DP rank. */
    List<RankLoad> load();

    /** One entry a DP rank: what changes, for {@code /get_server_info} and {@code /metrics}. */
    List<RankState> states();

    /** Stops taking requests, ends the live ones and frees everything; bounded by a deadline. */
    @Override
    void close();
}
