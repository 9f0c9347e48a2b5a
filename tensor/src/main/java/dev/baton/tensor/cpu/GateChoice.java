package dev.baton.tensor.cpu;

import dev.baton.tensor.GateSpec;
import org.jspecify.annotations.Nullable;

/**
 * The choosing half of a mixture-of-experts gate (DeepSeek-V3 technical report, section 2.1.2): from the scores of one
 * token to its experts and their weights. Plain code that serves both kinds of kernel. Not thread-safe: an instance
 * holds one token's scores, scratch and result.
 */
final class GateChoice {
    /** Scores of the token, at least as many as there are experts; the caller fills it. */
    float[] scores = new float[0];
    /** Added for choosing only; null when there is none. The caller fills it. */
    float @Nullable [] bias;

    /** The chosen experts, best first. */
    int[] ids = new int[0];
    /** Their weights. */
    float[] weights = new float[0];

    private float[] choice = new float[0];
    private float[] groupScores = new float[0];
    private boolean[] taken = new boolean[0];

    /** Makes room for a gate. */
    void prepare(int experts, int topK) {
        if (choice.length < experts) {
            scores = new float[experts];
            choice = new float[experts];
            taken = new boolean[experts];
            groupScores = new float[experts];
        }
        if (ids.length < topK) {
            ids = new int[topK];
            weights = new float[topK];
        }
    }

    /** From the scores to ids and weights. */
    void choose(int experts, GateSpec spec) {
        float[] biases = bias;
        for (int e = 0; e < experts; e++) {
            float value = biases == null ? scores[e] : scores[e] + biases[e];
            choice[e] = Float.isNaN(value) ? Float.NEGATIVE_INFINITY : value;
            taken[e] = false;
        }
        if (spec.keptGroups() < spec.groups()) {
            dropGroups(experts, spec);
        }
        float sum = 0;
        for (int k = 0; k < spec.topK(); k++) {
            int best = firstFree(experts);
            for (int e = best + 1; e < experts; e++) {
                if (!taken[e] && choice[e] > choice[best]) {
                    best = e;
                }
            }
            taken[best] = true;
            ids[k] = best;
            sum += scores[best];
        }
        float factor = spec.renormalize() ? spec.scale() / (sum + 1e-20f) : spec.scale();
        for (int k = 0; k < spec.topK(); k++) {
            weights[k] = scores[ids[k]] * factor;
        }
    }

    private int firstFree(int experts) {
        int e = 0;
        while (e + 1 < experts && taken[e]) {
            e++;
        }
        return e;
    }

    /** Takes the experts of all but the best groups out of the choice. */
    private void dropGroups(int experts, GateSpec spec) {
        int groups = spec.groups();
        int size = experts / groups;
        for (int g = 0; g < groups; g++) {
            float first = Float.NEGATIVE_INFINITY;
            float second = Float.NEGATIVE_INFINITY;
            for (int e = g * size; e < (g + 1) * size; e++) {
                if (choice[e] > first) {
                    second = first;
                    first = choice[e];
                } else if (choice[e] > second) {
                    second = choice[e];
                }
            }
            groupScores[g] = switch (spec.groupScore()) {
                case TOP_TWO_SUM -> size == 1 ? first : first + second;
                case MAX -> first;
            };
        }
        for (int g = 0; g < groups; g++) {
            int better = 0;
            for (int other = 0; other < groups; other++) {
                if (groupScores[other] > groupScores[g] || (groupScores[other] == groupScores[g] && other < g)) {
                    better++;
                }
            }
            if (better >= spec.keptGroups()) {
                for (int e = g * size; e < (g + 1) * size; e++) {
                    taken[e] = true;
                }
            }
        }
    }
}
