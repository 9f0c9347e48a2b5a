package dev.baton.protocol;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

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
 * @param stopRegex regular expressions that end the text where one matches; trimmed as stop strings are
 * @param grammar what the whole answer must match; null for anything
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
        @Nullable Long seed,
        Map<Integer, Float> logitBias,
        List<String> stopRegex,
        @Nullable GrammarSpec grammar) {

    /** SGLang's defaults: 128 tokens, temperature 1, nothing cut. */
    public static final SamplingParams DEFAULT = new SamplingParams(
            128, 0, 1f, 1f, -1, 0f, 0f, 0f, 1f, List.of(), List.of(), false, 1, true, true, false, null, Map.of(),
            List.of(), null);

    public SamplingParams {
        stop = List.copyOf(stop);
        stopTokenIds = List.copyOf(stopTokenIds);
        logitBias = Map.copyOf(logitBias);
        stopRegex = List.copyOf(stopRegex);
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

    /** The same with another limit; {@code minNewTokens} is cut to it. */
    public SamplingParams withMaxNewTokens(int tokens) {
        return toBuilder()
                .maxNewTokens(tokens)
                .minNewTokens(Math.min(minNewTokens, tokens))
                .build();
    }

    public SamplingParams withTemperature(float value) {
        return toBuilder().temperature(value).build();
    }

    public SamplingParams withN(int answers) {
        return toBuilder().n(answers).build();
    }

    public SamplingParams withStop(List<String> strings) {
        return toBuilder().stop(strings).build();
    }

    public SamplingParams withSeed(long value) {
        return toBuilder().seed(value).build();
    }

    /** A builder that holds these values. */
    public Builder toBuilder() {
        return new Builder(this);
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

    /** Sets what differs from the values it was made from. */
    public static final class Builder {
        private int maxNewTokens;
        private int minNewTokens;
        private float temperature;
        private float topP;
        private int topK;
        private float minP;
        private float frequencyPenalty;
        private float presencePenalty;
        private float repetitionPenalty;
        private List<String> stop;
        private List<Integer> stopTokenIds;
        private boolean ignoreEos;
        private int n;
        private boolean skipSpecialTokens;
        private boolean spacesBetweenSpecialTokens;
        private boolean noStopTrim;
        private @Nullable Long seed;
        private Map<Integer, Float> logitBias;
        private List<String> stopRegex;
        private @Nullable GrammarSpec grammar;

        private Builder(SamplingParams from) {
            maxNewTokens = from.maxNewTokens;
            minNewTokens = from.minNewTokens;
            temperature = from.temperature;
            topP = from.topP;
            topK = from.topK;
            minP = from.minP;
            frequencyPenalty = from.frequencyPenalty;
            presencePenalty = from.presencePenalty;
            repetitionPenalty = from.repetitionPenalty;
            stop = from.stop;
            stopTokenIds = from.stopTokenIds;
            ignoreEos = from.ignoreEos;
            n = from.n;
            skipSpecialTokens = from.skipSpecialTokens;
            spacesBetweenSpecialTokens = from.spacesBetweenSpecialTokens;
            noStopTrim = from.noStopTrim;
            seed = from.seed;
            logitBias = from.logitBias;
            stopRegex = from.stopRegex;
            grammar = from.grammar;
        }

        public Builder maxNewTokens(int value) {
            maxNewTokens = value;
            return this;
        }

        public Builder minNewTokens(int value) {
            minNewTokens = value;
            return this;
        }

        public Builder temperature(float value) {
            temperature = value;
            return this;
        }

        public Builder topP(float value) {
            topP = value;
            return this;
        }

        public Builder topK(int value) {
            topK = value;
            return this;
        }

        public Builder minP(float value) {
            minP = value;
            return this;
        }

        public Builder frequencyPenalty(float value) {
            frequencyPenalty = value;
            return this;
        }

        public Builder presencePenalty(float value) {
            presencePenalty = value;
            return this;
        }

        public Builder repetitionPenalty(float value) {
            repetitionPenalty = value;
            return this;
        }

        public Builder stop(List<String> value) {
            stop = value;
            return this;
        }

        public Builder stopTokenIds(List<Integer> value) {
            stopTokenIds = value;
            return this;
        }

        public Builder ignoreEos(boolean value) {
            ignoreEos = value;
            return this;
        }

        public Builder n(int value) {
            n = value;
            return this;
        }

        public Builder skipSpecialTokens(boolean value) {
            skipSpecialTokens = value;
            return this;
        }

        public Builder spacesBetweenSpecialTokens(boolean value) {
            spacesBetweenSpecialTokens = value;
            return this;
        }

        public Builder noStopTrim(boolean value) {
            noStopTrim = value;
            return this;
        }

        public Builder seed(@Nullable Long value) {
            seed = value;
            return this;
        }

        public Builder logitBias(Map<Integer, Float> value) {
            logitBias = value;
            return this;
        }

        public Builder stopRegex(List<String> value) {
            stopRegex = value;
            return this;
        }

        public Builder grammar(@Nullable GrammarSpec value) {
            grammar = value;
            return this;
        }

        /** The values; {@link SamplingParams#validate} checks them. */
        public SamplingParams build() {
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
                    seed,
                    logitBias,
                    stopRegex,
                    grammar);
        }
    }
}
