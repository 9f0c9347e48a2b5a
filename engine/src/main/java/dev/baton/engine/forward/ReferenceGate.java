package dev.baton.engine.forward;

import dev.baton.model.config.MoeConfig;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** A gate's choice by sorting (DeepSeek-V3 technical report, section 2.1.2); ties go to the lower id. */
final class ReferenceGate {
    private ReferenceGate() {}

    static double[] scores(MoeConfig moe, float[] logits) {
        double[] scores = new double[logits.length];
        double max = Double.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        double sum = 0;
        for (int e = 0; e < logits.length; e++) {
            scores[e] = switch (moe.scoring()) {
                case SIGMOID -> 1 / (1 + Math.exp(-logits[e]));
                case SOFTMAX -> Math.exp(logits[e] - max);
            };
            sum += scores[e];
        }
        for (int e = 0; e < logits.length && moe.scoring() == MoeConfig.Scoring.SOFTMAX; e++) {
            scores[e] /= sum;
        }
        return scores;
    }

    static int[] choose(MoeConfig moe, double[] scores, float[] bias) {
        double[] choice = new double[scores.length];
        Arrays.setAll(choice, e -> scores[e] + bias[e]);
        int groupSize = scores.length / moe.groups();
        double[] groupScores = new double[moe.groups()];
        for (int g = 0; g < moe.groups(); g++) {
            double[] members = Arrays.copyOfRange(choice, g * groupSize, (g + 1) * groupSize);
            Arrays.sort(members);
            double best = members[groupSize - 1];
            groupScores[g] = switch (moe.groupScore()) {
                case MAX -> best;
                case TOP_TWO_SUM -> best + members[groupSize - 2];
            };
        }
        int[] kept = best(IntStream.range(0, moe.groups()), groupScores, moe.keptGroups());
        IntStream eligible = Arrays.stream(kept).flatMap(g -> IntStream.range(g * groupSize, (g + 1) * groupSize));
        return best(eligible, choice, moe.topK());
    }

    private static int[] best(IntStream candidates, double[] values, int count) {
        return candidates
                .boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -values[i]).thenComparing(i -> i))
                .limit(count)
                .mapToInt(Integer::intValue)
                .toArray();
    }
}
