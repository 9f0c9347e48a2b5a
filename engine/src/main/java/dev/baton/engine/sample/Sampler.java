package dev.baton.engine.sample;

import dev.baton.engine.EngineException;
import dev.baton.protocol.SamplingParams;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Chooses a token from one row of logits: penalties and bias, temperature, then top-k, top-p and min-p taken together
 * over the same distribution (a token stays when fewer than k are more probable, when those before it do not yet exceed
 * top-p, and when it has at least min-p of the best one's probability), then one draw. Ties go to the lower id.
 *
 * <p>Costs a few passes over the vocabulary and no sort of it: tokens are counted into buckets by their distance from
 * the best; only the bucket in which the cut falls is sorted. The draw walks the kept tokens by id. One thread; allocates
 * nothing in the steady state.
 */
public final class Sampler {
    /** Buckets of 1/32 in units of the scaled logit; the last takes the rest. */
    private static final int BUCKETS = 1024;

    private static final float BUCKETS_PER_UNIT = 32f;
    /** Scaled logits this far below the best (a weight of 6e-6) are looked at only when they must be. */
    private static final float PROBABLE = 12f;
    /** Tokens of one partial sum. */
    private static final int BLOCK = 1024;

    private final int vocabulary;
    private final LogitChanges changes;
    /** [vocabulary] e^(logit - best), then 0 for tokens that are cut. */
    private final float[] weights;
    /** [blocks] */
    private final double[] blockSums;
    /** [BUCKETS] */
    private final int[] bucketCounts = new int[BUCKETS];

    private final double[] bucketSums = new double[BUCKETS];
    private final float[] lanes = RowMath.lanes();
    /** Members of the cut's bucket: ordered logit in the high half, complement of the id in the low half. */
    private long[] boundary = new long[1024];

    /** @param eosIds the model's end tokens, held back while {@code min_new_tokens} is not reached */
    public Sampler(int vocabulary, List<Integer> eosIds) {
        this.vocabulary = vocabulary;
        this.changes = new LogitChanges(
                vocabulary, eosIds.stream().mapToInt(Integer::intValue).toArray());
        this.weights = new float[vocabulary];
        this.blockSums = new double[(vocabulary + BLOCK - 1) / BLOCK];
    }

    /** Whether the choice is the largest logit as the model gave it, so that the device can make it. */
    public static boolean isPlainGreedy(SamplingParams params, int generated) {
        return params.isGreedy() && !LogitChanges.any(params, generated);
    }

    /**
     * @param logits [vocabulary]; changed by the call
     * @param tokens the request's tokens so far, prompt first
     * @param promptLength how many of them are the prompt
     * @param length how many there are: also the position of the token that is chosen, which its random number hangs on
     * @throws EngineException INTERNAL when the logits hold NaN or nothing can be chosen
     */
    public int choose(float[] logits, SamplingParams params, int[] tokens, int promptLength, int length, long seed) {
        return choose(logits, params, tokens, promptLength, length, seed, null);
    }

    /**
     * As {@link #choose(float[], SamplingParams, int[], int, int, long)}, among the allowed tokens alone.
     *
     * @param allowed a bit for each token that may be chosen, at least one; null for all. Where {@code min_new_tokens}
     *     holds back all that a grammar allows, the grammar is obeyed
     */
    public int choose(
            float[] logits,
            SamplingParams params,
            int[] tokens,
            int promptLength,
            int length,
            long seed,
            long @Nullable [] allowed) {
        if (LogitChanges.any(params, length - promptLength)) {
            changes.apply(logits, params, tokens, promptLength, length);
        }
        int best = RowMath.best(logits, allowed);
        if (best < 0 && allowed != null) {
            return lowest(allowed);
        }
        float max = checked(logits, best);
        if (params.isGreedy()) {
            return best;
        }
        if (allowed != null) {
            RowMath.keep(logits, allowed);
        }
        float factor = 1 / params.temperature();
        RowMath.scaledExp(logits, max, factor, weights);
        double total = blockSums();
        boolean cut = params.topK() > 0 && params.topK() < vocabulary || params.topP() < 1 || params.minP() > 0;
        if (cut) {
            cut(logits, max, factor, params, total);
            total = blockSums();
        }
        return draw(best, total, CounterRandom.uniform(seed, length));
    }

    private static int lowest(long[] allowed) {
        for (int word = 0; word < allowed.length; word++) {
            if (allowed[word] != 0) {
                return word * 64 + Long.numberOfTrailingZeros(allowed[word]);
            }
        }
        throw new EngineException(EngineException.Code.INTERNAL, "no token can be chosen: the grammar allows none");
    }

    /** The largest logit. */
    static float largest(float[] logits) {
        return checked(logits, RowMath.best(logits, null));
    }

    private static float checked(float[] logits, int best) {
        float max = best < 0 ? Float.NEGATIVE_INFINITY : logits[best];
        if (Float.isNaN(max) || Float.isInfinite(max)) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "no token can be chosen: the largest logit is " + max + " (the model's output is broken, or bias"
                            + " and penalties exclude every token)");
        }
        return max;
    }

    /**
     * Sets the weights of all tokens that top-k, top-p or min-p cut to 0. First looks at the probable tokens only; the
     * cut nearly always falls among them.
     */
    private void cut(float[] logits, float max, float factor, SamplingParams params, double total) {
        float probable = max - PROBABLE / factor;
        if (!cutAbove(logits, max, factor, params, total, probable)) {
            cutAbove(logits, max, factor, params, total, Float.NEGATIVE_INFINITY);
        }
    }

    /**
     * @param least tokens with smaller logits are not looked at
     * @return false, and nothing changed, when some of them might have to stay
     */
    private boolean cutAbove(
            float[] logits, float max, float factor, SamplingParams params, double total, float least) {
        fillBuckets(logits, max, factor, least);
        int last = bucket(least, max, factor);
        long keep = params.topK() > 0 ? params.topK() : Long.MAX_VALUE;
        double mass = params.topP() < 1 ? params.topP() * total : Double.POSITIVE_INFINITY;
        int cutBucket = 0;
        long before = 0;
        double sumBefore = 0;
        // All tokens of a bucket stay when even its last one would: fewer than k before it, mass not exceeded.
        while (cutBucket < last
                && before + bucketCounts[cutBucket] < keep
                && sumBefore + bucketSums[cutBucket] <= mass
                && leastBefore(cutBucket + 1) >= params.minP()) {
            before += bucketCounts[cutBucket];
            sumBefore += bucketSums[cutBucket];
            cutBucket++;
        }
        if (cutBucket == last && least != Float.NEGATIVE_INFINITY) {
            return false;
        }
        int members = 0;
        for (int i = 0; i < vocabulary; i++) {
            int bucket = logits[i] < least ? BUCKETS : bucket(logits[i], max, factor);
            if (bucket > cutBucket) {
                weights[i] = 0;
            } else if (bucket == cutBucket) {
                if (members == boundary.length) {
                    boundary = Arrays.copyOf(boundary, 2 * members);
                }
                boundary[members++] = (long) ordered(logits[i]) << 32 | ~i & 0xFFFFFFFFL;
            }
        }
        Arrays.sort(boundary, 0, members);
        for (int m = members - 1; m >= 0; m--) {
            int id = ~(int) boundary[m];
            float weight = weights[id];
            if (before >= keep || sumBefore > mass || weight < params.minP()) {
                weights[id] = 0;
            }
            before++;
            sumBefore += weight;
        }
        return true;
    }

    /** Counts tokens and weights by bucket. */
    private void fillBuckets(float[] logits, float max, float factor, float least) {
        Arrays.fill(bucketCounts, 0);
        Arrays.fill(bucketSums, 0);
        for (int i = 0; i < vocabulary; i++) {
            if (logits[i] >= least) {
                int bucket = bucket(logits[i], max, factor);
                bucketCounts[bucket]++;
                bucketSums[bucket] += weights[i];
            }
        }
    }

    /** 0 for the best token, more for less probable ones. */
    private static int bucket(float logit, float max, float factor) {
        return (int) Math.min((max - logit) * factor * BUCKETS_PER_UNIT, BUCKETS - 1f);
    }

    /** No token of the buckets before {@code index} weighs less than this; a little lower for rounding. */
    private static float leastBefore(int index) {
        return FastExp.exp(-index / BUCKETS_PER_UNIT) * 0.99999f;
    }

    /** Integers in the order of the floats. */
    private static int ordered(float value) {
        int bits = Float.floatToIntBits(value + 0f);
        return bits >= 0 ? bits : bits ^ 0x7FFFFFFF;
    }

    /** Sums the weights block by block; returns the sum of all. */
    private double blockSums() {
        double total = 0;
        for (int block = 0; block < blockSums.length; block++) {
            int end = Math.min(vocabulary, (block + 1) * BLOCK);
            blockSums[block] = RowMath.sum(weights, block * BLOCK, end, lanes);
            total += blockSums[block];
        }
        return total;
    }

    /** One token with a probability proportional to its weight, found by walking the ids. */
    private int draw(int best, double total, double uniform) {
        double target = uniform * total;
        for (int block = 0; block < blockSums.length; block++) {
            if (target >= blockSums[block]) {
                target -= blockSums[block];
                continue;
            }
            int end = Math.min(vocabulary, (block + 1) * BLOCK);
            for (int i = block * BLOCK; i < end; i++) {
                target -= weights[i];
                if (target < 0 && weights[i] > Float.MIN_NORMAL * 16) {
                    return i;
                }
            }
        }
        // Rounding left a rest behind the last token: at most one draw in 2^20.
        return best;
    }
}
