package dev.baton.engine.request;

import dev.baton.protocol.FinishReason;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one step adds to one request.
 *
 * @param rid the request
 * @param newIds tokens that this step added (empty when only the finish is told)
 * @param newText the text they completed: whole characters only, held back while it may be part of a stop string;
 *     empty without a tokenizer
 * @param inputLogprobs of the prompt, once, with the first output; empty otherwise
 * @param outputLogprobs one for each new id when asked for
 * @param promptTokens prompt length
 * @param cachedTokens prompt tokens found in the prefix cache
 * @param completionTokens all tokens generated so far
 * @param retractions how often the request was retracted
 * @param finish null while it goes on; the last output of a request carries it
 */
public record RequestOutput(
        String rid,
        int[] newIds,
        String newText,
        List<TokenLogprob> inputLogprobs,
        List<TokenLogprob> outputLogprobs,
        int promptTokens,
        int cachedTokens,
        int completionTokens,
        int retractions,
        @Nullable FinishReason finish) {

    public boolean isLast() {
        return finish != null;
    }
}
