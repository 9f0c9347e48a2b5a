package dev.baton.engine.request;

import dev.baton.protocol.SamplingParams;
import org.jspecify.annotations.Nullable;

/**
 * One prompt and how to continue it, as the engine takes it: tokenised, one answer (a server expands {@code n}).
 *
 * @param rid request id, unique among the live requests
 * @param inputIds the prompt, at least one token
 * @param sampling validated parameters; {@code n} is ignored here
 * @param logprobs which log probabilities to return; null for none
 * @param bootstrap where the other role is, on a prefill or decode server; null otherwise
 * @param dataParallelRank the DP rank to use; null lets the engine choose
 * @param cacheSalt requests share cached prefixes only with requests of the same salt ({@code extra_key},
 *     {@code cache_salt}); null is a salt of its own
 */
public record EngineRequest(
        String rid,
        int[] inputIds,
        SamplingParams sampling,
        @Nullable LogprobSpec logprobs,
        @Nullable Bootstrap bootstrap,
        @Nullable Integer dataParallelRank,
        @Nullable String cacheSalt) {

    /** A request without a cache salt. */
    public EngineRequest(
            String rid,
            int[] inputIds,
            SamplingParams sampling,
            @Nullable LogprobSpec logprobs,
            @Nullable Bootstrap bootstrap,
            @Nullable Integer dataParallelRank) {
        this(rid, inputIds, sampling, logprobs, bootstrap, dataParallelRank, null);
    }

    /**
     * @param startPosition first prompt position whose log probability is returned; -1 for output tokens only
     * @param top alternatives a position, 0 for none
     * @param tokenIds ids whose log probability is returned at each position, empty for none
     */
    public record LogprobSpec(int startPosition, int top, int[] tokenIds) {}

    /**
     * @param host host of the prefill server's bootstrap server
     * @param port its port
     * @param room the key that joins the two halves of one request
     */
    public record Bootstrap(String host, int port, long room) {}

    public static EngineRequest of(String rid, int[] inputIds, SamplingParams sampling) {
        return new EngineRequest(rid, inputIds, sampling, null, null, null);
    }
}
