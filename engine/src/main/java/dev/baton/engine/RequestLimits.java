package dev.baton.engine;

import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.ProtocolException;
import dev.baton.protocol.SamplingParams;
import org.jspecify.annotations.Nullable;

/**
 * What a request may ask of this engine, with SGLang's texts.
 *
 * @param vocabularySize ids are below this
 * @param contextTokens prompt and answer
 * @param poolTokens KV pool of a DP rank
 * @param dataParallel DP ranks
 * @param role of disaggregated serving, null for none
 * @param tokenizer whether text can be made
 */
record RequestLimits(
        int vocabularySize,
        int contextTokens,
        int poolTokens,
        int dataParallel,
        @Nullable String role,
        boolean tokenizer) {

    /** Most tokens that a request's prompt and answer can have. */
    private int maxRequestTokens() {
        return Math.min(contextTokens - 1, poolTokens - 1);
    }

    /** Longest prompt, exclusive: five positions are kept for an answer, as SGLang does. */
    int maxInputTokens() {
        return Math.max(maxRequestTokens() - 5, 1);
    }

    /**
     * Checks a request.
     *
     * @return its parameters, with {@code maxNewTokens} cut to what fits
     * @throws EngineException INVALID_REQUEST naming what is wrong
     */
    SamplingParams check(EngineRequest request) {
        int[] ids = request.inputIds();
        if (ids.length == 0) {
            throw invalid("input_ids must hold at least one token.");
        }
        checkLength(ids.length, request.sampling().maxNewTokens());
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabularySize) {
                throw invalid("input_ids[" + i + "] is " + ids[i] + ", but the vocabulary has ids 0 to "
                        + (vocabularySize - 1) + ".");
            }
        }
        Integer rank = request.dataParallelRank();
        if (rank != null && (rank < 0 || rank >= dataParallel)) {
            throw invalid("data_parallel_rank must be in [0, " + dataParallel + "), got " + rank + ".");
        }
        if (role != null && request.bootstrap() == null) {
            throw invalid("Invalid request: Disaggregated request received without boostrap room id.");
        }
        checkLogprobs(request);
        try {
            request.sampling().validate(vocabularySize);
        } catch (ProtocolException e) {
            throw new EngineException(EngineException.Code.INVALID_REQUEST, e.getMessage(), e);
        }
        boolean stops = !request.sampling().stop().isEmpty()
                || !request.sampling().stopRegex().isEmpty();
        if (!tokenizer && stops) {
            throw invalid("stop strings need a tokenizer, and this engine has none; use stop_token_ids.");
        }
        int fits = "prefill".equals(role) ? 1 : maxRequestTokens() - ids.length - 1;
        SamplingParams sampling = request.sampling();
        return fits >= sampling.maxNewTokens() && !"prefill".equals(role) ? sampling : sampling.withMaxNewTokens(fits);
    }

    private void checkLength(int prompt, int newTokens) {
        if (prompt >= contextTokens) {
            throw invalid("The input (" + prompt + " tokens) is longer than the model's context length ("
                    + contextTokens + " tokens).");
        }
        if ((long) prompt + newTokens > contextTokens) {
            throw invalid("Requested token count exceeds the model's maximum context length of " + contextTokens
                    + " tokens: the prompt has " + prompt + " and max_new_tokens is " + newTokens + ", together "
                    + ((long) prompt + newTokens) + ". Shorten the prompt or lower max_new_tokens.");
        }
        if (prompt >= maxInputTokens()) {
            throw invalid("The input (" + prompt + " tokens) does not fit: this server takes prompts of fewer than "
                    + maxInputTokens() + " tokens (context " + contextTokens + ", KV pool " + poolTokens
                    + " tokens).");
        }
    }

    private void checkLogprobs(EngineRequest request) {
        EngineRequest.LogprobSpec spec = request.logprobs();
        if (spec == null) {
            return;
        }
        if (spec.startPosition() < -1 || spec.startPosition() > request.inputIds().length) {
            throw invalid("logprob_start_len must be in [-1, " + request.inputIds().length + "], got "
                    + spec.startPosition() + ".");
        }
        if (spec.top() < 0 || spec.top() > vocabularySize) {
            throw invalid("top_logprobs_num must be in [0, " + vocabularySize + "], got " + spec.top() + ".");
        }
        for (int id : spec.tokenIds()) {
            if (id < 0 || id >= vocabularySize) {
                throw invalid("token_ids_logprob must be in [0, " + vocabularySize + "), got " + id + ".");
            }
        }
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.INVALID_REQUEST, message);
    }
}
