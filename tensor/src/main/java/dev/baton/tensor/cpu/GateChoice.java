package dev.baton.tensor.cpu;

import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Tensor;
import java.lang.foreign.ValueLayout;

/**
 * The choosing half of a mixture-of-experts gate (DeepSeek-V3 technical report, section 2.1.2): from the scores of one
 * token to its experts and their weights. Choice values are small in number, so one plain implementation serves both
 * kinds of kernel. Not thread-safe: keeps scratch between calls.
 */
final class GateChoice {
    private float[] choice = new float[0];
    private float[] groupScores = new float[0];
    private boolean[] taken = new boolean[0];

    /**
     * Writes row {@code t} of ids and weights.
     *
     * @param scores the token's scores, the first {@code experts} elements
     */
    void choose(float[] scores, int experts, GateSpec spec, int t, Tensor ids, Tensor weights) {
        if (choice.length < experts) {
            choice = new float[experts];
            taken = new boolean[experts];
            groupScores = new float[experts];
        }
        Tensor bias = spec.correctionBias();
        for (int e = 0; e < experts; e++) {
            float value = bias == null ? scores[e] : scores[e] + Elements.get(bias.memory(), bias.dtype(), e);
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
            Elements.setInt(ids, t, k, best);
            sum += scores[best];
        }
        float factor = spec.renormalize() ? spec.scale() / (sum + 1e-20f) : spec.scale();
        for (int k = 0; k < spec.topK(); k++) {
            float weight = scores[Elements.getInt(ids, t, k)] * factor;
            weights.memory().set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (t * weights.rowStride() + k), weight);
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
