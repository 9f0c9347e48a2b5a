package dev.baton.engine.request;

/**
 * Natural-log probabilities at one position, from the logits before temperature and penalties.
 *
 * @param tokenId the token that stands there
 * @param logprob its log probability; NaN at the first prompt position asked for (as SGLang answers null there)
 * @param topIds the most probable ids, best first (length {@code top})
 * @param topLogprobs theirs
 * @param chosenLogprobs those of the ids asked for
 */
public record TokenLogprob(int tokenId, float logprob, int[] topIds, float[] topLogprobs, float[] chosenLogprobs) {}
