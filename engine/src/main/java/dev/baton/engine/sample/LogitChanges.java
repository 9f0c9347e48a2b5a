package dev.baton.engine.sample;

import dev.baton.protocol.SamplingParams;
import java.util.Arrays;
import java.util.Map;

/**
 * Penalties, bias and held-back end tokens, applied to one row of logits in this order: repetition penalty, frequency
 * and presence penalty, bias, end tokens. One thread.
 */
final class LogitChanges {
    private final int[] eosIds;
    /** [vocabulary] occurrences, all 0 between calls. */
    private final int[] counts;

    LogitChanges(int vocabulary, int[] eosIds) {
        this.eosIds = eosIds.clone();
        this.counts = new int[vocabulary];
    }

    /** Whether {@link #apply} would change anything. */
    static boolean any(SamplingParams params, int generated) {
        return params.changesLogits() || generated < params.minNewTokens();
    }

    /**
     * @param tokens the request's tokens, prompt first
     * @param promptLength how many of them are the prompt
     * @param length how many there are
     */
    void apply(float[] logits, SamplingParams params, int[] tokens, int promptLength, int length) {
        if (params.repetitionPenalty() != 1) {
            repetition(logits, params.repetitionPenalty(), tokens, length);
        }
        if (params.frequencyPenalty() != 0 || params.presencePenalty() != 0) {
            occurrences(logits, params, tokens, promptLength, length);
        }
        for (Map.Entry<Integer, Float> bias : params.logitBias().entrySet()) {
            if (bias.getKey() < logits.length) {
                logits[bias.getKey()] += bias.getValue();
            }
        }
        if (length - promptLength < params.minNewTokens()) {
            for (int id : eosIds) {
                mask(logits, id);
            }
            for (int id : params.stopTokenIds()) {
                mask(logits, id);
            }
        }
    }

    private static void mask(float[] logits, int id) {
        if (id >= 0 && id < logits.length) {
            logits[id] = Float.NEGATIVE_INFINITY;
        }
    }

    /** Every token that stands in the prompt or the output: a positive logit is divided, a negative one multiplied. */
    private void repetition(float[] logits, float penalty, int[] tokens, int length) {
        for (int i = 0; i < length; i++) {
            int id = tokens[i];
            if (counts[id]++ == 0) {
                logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
            }
        }
        clear(tokens, 0, length);
    }

    private void occurrences(float[] logits, SamplingParams params, int[] tokens, int from, int to) {
        for (int i = from; i < to; i++) {
            counts[tokens[i]]++;
        }
        for (int i = from; i < to; i++) {
            int id = tokens[i];
            if (counts[id] > 0) {
                logits[id] -= params.frequencyPenalty() * counts[id] + params.presencePenalty();
                counts[id] = 0;
            }
        }
    }

    private void clear(int[] tokens, int from, int to) {
        if (to - from > counts.length / 4) {
            Arrays.fill(counts, 0);
            return;
        }
        for (int i = from; i < to; i++) {
            counts[tokens[i]] = 0;
        }
    }
}
