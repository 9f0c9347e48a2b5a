package dev.baton.engine.request;

/**
 * Natural-log probabilities at one position, from the logits before temperature and penalties.
 *
 * @param tokenId the token that stands there
 * @param logprob its log probability; NaN for the first prompt token, which has none
 * @param topIds the most probable ids, best first (length {@code top})
 * @param topLogprobs theirs
 * @param chosenLogprobs those of the ids asked for
 */
public record TokenLogprob(int tokenId, float logprob, int[] topIds, float[] topLogprobs, float[] chosenLogprobs) {}
