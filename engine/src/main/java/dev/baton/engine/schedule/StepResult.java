package dev.baton.engine.schedule;

import dev.baton.engine.request.TokenLogprob;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a step computed.
 *
 * @param step the plan's number
 * @param nextIds [B] the sampled token, -1 where nothing was sampled
 * @param outputLogprobs [B] of the sampled token; null where not asked for
 * @param inputLogprobs [B] of the step's prompt tokens, in order; null where not asked for
 * @param startNanos {@link System#nanoTime} when the rank began the step
 * @param endNanos when it ended
 */
public record StepResult(
        long step,
        int[] nextIds,
        @Nullable TokenLogprob[] outputLogprobs,
        @Nullable List<TokenLogprob>[] inputLogprobs,
        long startNanos,
        long endNanos) {}
