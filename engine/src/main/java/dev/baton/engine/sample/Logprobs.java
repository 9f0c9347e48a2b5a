package dev.baton.engine.sample;

import dev.baton.engine.request.TokenLogprob;
import java.util.Arrays;

/** Log probabilities of rows of logits as the model gave them. One thread. */
public final class Logprobs {
    private static final int[] NO_IDS = {};
    private static final float[] NONE = {};
    /** Tokens of one partial sum. */
    private static final int BLOCK = 1024;

    private final int vocabulary;
    /** [vocabulary] */
    private final float[] weights;

    private final float[] lanes = RowMath.lanes();

    public Logprobs(int vocabulary) {
        this.vocabulary = vocabulary;
        this.weights = new float[vocabulary];
    }

    /**
     * @param logits [vocabulary], before temperature, penalties and bias
     * @param tokenId the token that stands at the position the logits tell about
     * @param top alternatives, best first, ties to the lower id
     * @param ids further tokens
     */
    public TokenLogprob of(float[] logits, int tokenId, int top, int[] ids) {
        double normalizer = logSumExp(logits);
        int[] topIds = top > 0 ? best(logits, Math.min(top, vocabulary)) : NO_IDS;
        return new TokenLogprob(
                tokenId,
                (float) (logits[tokenId] - normalizer),
                topIds,
                at(logits, topIds, normalizer),
                at(logits, ids, normalizer));
    }

    /** The first position of what is returned: no logits tell about it. */
    public static TokenLogprob unknown(int tokenId) {
        return new TokenLogprob(tokenId, Float.NaN, NO_IDS, NONE, NONE);
    }

    private double logSumExp(float[] logits) {
        float max = Sampler.largest(logits);
        RowMath.scaledExp(logits, max, 1, weights);
        double sum = 0;
        for (int from = 0; from < vocabulary; from += BLOCK) {
            sum += RowMath.sum(weights, from, Math.min(vocabulary, from + BLOCK), lanes);
        }
        return max + Math.log(sum);
    }

    private static float[] at(float[] logits, int[] ids, double normalizer) {
        if (ids.length == 0) {
            return NONE;
        }
        float[] values = new float[ids.length];
        for (int i = 0; i < ids.length; i++) {
            values[i] = (float) (logits[ids[i]] - normalizer);
        }
        return values;
    }

    /** The ids of the largest logits, by insertion into a sorted list as long as {@code count}. */
    private static int[] best(float[] logits, int count) {
        if (count > 256) {
            return bestBySorting(logits, count);
        }
        int[] ids = new int[count];
        int filled = 0;
        for (int id = 0; id < logits.length; id++) {
            if (filled == count && !(logits[id] > logits[ids[count - 1]])) {
                continue;
            }
            int at = filled < count ? filled++ : count - 1;
            while (at > 0 && logits[id] > logits[ids[at - 1]]) {
                ids[at] = ids[at - 1];
                at--;
            }
            ids[at] = id;
        }
        return ids;
    }

    private static int[] bestBySorting(float[] logits, int count) {
        Integer[] order = new Integer[logits.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> {
            int byLogit = Float.compare(logits[b], logits[a]);
            return byLogit != 0 ? byLogit : Integer.compare(a, b);
        });
        int[] ids = new int[count];
        Arrays.setAll(ids, i -> order[i]);
        return ids;
    }
}
