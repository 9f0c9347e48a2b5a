package dev.baton.protocol;

import java.util.List;
import java.util.Map;

/**
 * How the next token is chosen and when generation ends: the {@code sampling_params} object of {@code /generate},
 * with SGLang's defaults. Immutable; {@link #validate} applies SGLang's ranges with its messages.
 *
 * @param maxNewTokens most tokens to generate; 0 means prefill only
 * @param minNewTokens stop tokens are held back until this many tokens stand
 * @param temperature 0 or less than 1e-6 means greedy
 * @param topP in (0, 1]
 * @param topK -1 (off) or at least 1
 * @param minP in [0, 1], relative to the largest probability
 * @param frequencyPenalty in [-2, 2], per occurrence among the output tokens
 * @param presencePenalty in [-2, 2], once for each output token that occurred
 * @param repetitionPenalty in (0, 2], over prompt and output, as Keskar et al. 2019 divide or multiply the logit
 * @param stop strings that end the text; the match is cut off unless {@code noStopTrim}
 * @param stopTokenIds ids that end the text beside the model's own end tokens
 * @param ignoreEos end tokens and {@code stopTokenIds} do not end the text
 * @param n answers for one prompt
 * @param skipSpecialTokens special tokens leave no text
 * @param seed seed of this request's random numbers; null takes one from the server
 * @param logitBias added to the logit of a token id
 */
public record SamplingParams(
        int maxNewTokens,
        int minNewTokens,
        float temperature,
        float topP,
        int topK,
        float minP,
        float frequencyPenalty,
        float presencePenalty,
        float repetitionPenalty,
        List<String> stop,
        List<Integer> stopTokenIds,
        boolean ignoreEos,
        int n,
        boolean skipSpecialTokens,
        boolean spacesBetweenSpecialTokens,
        boolean noStopTrim,
        @org.jspecify.annotations.Nullable Long seed,
        Map<Integer, Float> logitBias) {

    /** SGLang's defaults: 128 tokens, temperature 1, nothing cut. */
    public static final SamplingParams DEFAULT = new SamplingParams(
            128, 0, 1f, 1f, -1, 0f, 0f, 0f, 1f, List.of(), List.of(), false, 1, true, true, false, null, Map.of());

    public SamplingParams {
        stop = List.copyOf(stop);
        stopTokenIds = List.copyOf(stopTokenIds);
        logitBias = Map.copyOf(logitBias);
    }

    /** Greedy decoding of {@code maxNewTokens} tokens. */
    public static SamplingParams greedy(int maxNewTokens) {
        return DEFAULT.withMaxNewTokens(maxNewTokens).withTemperature(0f);
    }

    /** True when the largest logit is taken. */
    public boolean isGreedy() {
        return temperature < 1e-6f || topK == 1;
    }

    /** True when any penalty or bias changes the logits. */
    public boolean changesLogits() {
        return frequencyPenalty != 0 || presencePenalty != 0 || repetitionPenalty != 1 || !logitBias.isEmpty();
    }

    public SamplingParams withMaxNewTokens(int tokens) {
        return new SamplingParams(
                tokens,
                Math.min(minNewTokens, tokens),
                temperature,
                topP,
                topK,
                minP,
                frequencyPenalty,
                presencePenalty,
                repetitionPenalty,
                stop,
                stopTokenIds,
                ignoreEos,
                n,
                skipSpecialTokens,
                spacesBetweenSpecialTokens,
                noStopTrim,
                seed,
                logitBias);
    }

    public SamplingParams withTemperature(float value) {
        return new SamplingParams(
                maxNewTokens,
                minNewTokens,
                value,
                topP,
                topK,
                minP,
                frequencyPenalty,
                presencePenalty,
                repetitionPenalty,
                stop,
                stopTokenIds,
                ignoreEos,
                n,
                skipSpecialTokens,
                spacesBetweenSpecialTokens,
                noStopTrim,
                seed,
                logitBias);
    }

    public SamplingParams withN(int answers) {
        return new SamplingParams(
                maxNewTokens,
                minNewTokens,
                temperature,
                topP,
                topK,
                minP,
                frequencyPenalty,
                presencePenalty,
                repetitionPenalty,
                stop,
                stopTokenIds,
                ignoreEos,
                answers,
                skipSpecialTokens,
                spacesBetweenSpecialTokens,
                noStopTrim,
                seed,
                logitBias);
    }

    public SamplingParams withStop(List<String> strings) {
        return new SamplingParams(
                maxNewTokens,
                minNewTokens,
                temperature,
                topP,
                topK,
                minP,
                frequencyPenalty,
                presencePenalty,
                repetitionPenalty,
                strings,
                stopTokenIds,
                ignoreEos,
                n,
                skipSpecialTokens,
                spacesBetweenSpecialTokens,
                noStopTrim,
                seed,
                logitBias);
    }

    public SamplingParams withSeed(long value) {
        return new SamplingParams(
                maxNewTokens,
                minNewTokens,
                temperature,
                topP,
                topK,
                minP,
                frequencyPenalty,
                presencePenalty,
                repetitionPenalty,
                stop,
                stopTokenIds,
                ignoreEos,
                n,
                skipSpecialTokens,
                spacesBetweenSpecialTokens,
                noStopTrim,
                value,
                logitBias);
    }

    /**
     * Checks every range.
     *
     * @return this
     * @throws ProtocolException INVALID_REQUEST naming the field and the value
     */
    public SamplingParams validate(int vocabularySize) {
        if (!(Float.isFinite(temperature) && temperature >= 0)) {
            throw invalid("temperature must be non-negative, got " + temperature + ".");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw invalid("top_p must be in (0, 1], got " + topP + ".");
        }
        if (!(minP >= 0 && minP <= 1)) {
            throw invalid("min_p must be in [0, 1], got " + minP + ".");
        }
        if (!(topK == -1 || topK >= 1)) {
            throw invalid("top_k must be -1 (disable) or at least 1, got " + topK + ".");
        }
        if (!(inTwo(frequencyPenalty))) {
            throw invalid("frequency_penalty must be in [-2, 2], got " + frequencyPenalty + ".");
        }
        if (!(inTwo(presencePenalty))) {
            throw invalid("presence_penalty must be in [-2, 2], got " + presencePenalty + ".");
        }
        if (!(repetitionPenalty > 0 && repetitionPenalty <= 2)) {
            throw invalid("repetition_penalty must be in (0, 2], got " + repetitionPenalty + ".");
        }
        if (!(maxNewTokens >= 0)) {
            throw invalid("max_new_tokens must be at least 0, got " + maxNewTokens + ".");
        }
        if (!(minNewTokens >= 0 && minNewTokens <= maxNewTokens)) {
            throw invalid(
                    "min_new_tokens must be in [0, max_new_tokens(" + maxNewTokens + ")], got " + minNewTokens + ".");
        }
        if (!(n >= 1)) {
            throw invalid("n must be at least 1, got " + n + ".");
        }
        for (int id : stopTokenIds) {
            if (!(id >= 0 && id < vocabularySize)) {
                throw invalid("stop_token_ids must be in [0, " + vocabularySize + "), got " + id + ".");
            }
        }
        for (var bias : logitBias.entrySet()) {
            if (!(bias.getKey() >= 0 && bias.getKey() < vocabularySize)) {
                throw invalid("logit_bias keys must be in [0, " + vocabularySize + "), got " + bias.getKey() + ".");
            }
            if (!(Float.isFinite(bias.getValue()))) {
                throw invalid("logit_bias of " + bias.getKey() + " must be finite, got " + bias.getValue() + ".");
            }
        }
        return this;
    }

    private static boolean inTwo(float value) {
        return value >= -2 && value <= 2;
    }

    private static ProtocolException invalid(String message) {
        return new ProtocolException(ProtocolException.Code.INVALID_REQUEST, message);
    }
}
