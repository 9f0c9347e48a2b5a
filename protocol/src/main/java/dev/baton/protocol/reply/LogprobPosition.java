package dev.baton.protocol.reply;

/**
 * Log probabilities at one position.
 *
 * @param tokenId the token that stands there
 * @param logprob its log probability; NaN for the first prompt token, which has none
 * @param topIds the most probable ids, best first
 * @param topLogprobs theirs
 * @param askedIds the ids asked for by {@code token_ids_logprob}
 * @param askedLogprobs theirs
 */
public record LogprobPosition(
        int tokenId, float logprob, int[] topIds, float[] topLogprobs, int[] askedIds, float[] askedLogprobs) {}
