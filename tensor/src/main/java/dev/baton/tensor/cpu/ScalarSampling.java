package dev.baton.tensor.cpu;

import static dev.baton.tensor.SampledRows.*;

import dev.baton.tensor.SampledRows;
import dev.baton.tensor.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** {@link dev.baton.tensor.Ops#sample} as it is defined, by sorting. */
final class ScalarSampling {
    /** Weights are whole numbers of 2^-40: sums of them do not depend on their order. */
    private static final float UNIT = 0x1p40f;

    private ScalarSampling() {}

    /** The token of row {@code b}; -1 when no logit is above minus infinity. */
    static int sample(Tensor logits, SampledRows rows, int b) {
        float[] row = new float[logits.columns()];
        for (int i = 0; i < row.length; i++) {
            float logit = Elements.get(logits, b, i);
            row[i] = Float.isNaN(logit) ? Float.NEGATIVE_INFINITY : logit;
        }
        penalties(row, rows, b);
        for (int i = 0; i < row.length; i++) {
            Elements.set(logits, b, i, row[i]);
        }
        int best = -1;
        for (int i = 0; i < row.length; i++) {
            if (row[i] > (best < 0 ? Float.NEGATIVE_INFINITY : row[best])) {
                best = i;
            }
        }
        float factor = real(rows, b, FACTOR);
        if (best < 0 || factor == 0) {
            return best;
        }
        long[] weights = new long[row.length];
        for (int i = 0; i < row.length; i++) {
            weights[i] = (long) (weight(row[i], row[best], factor) * UNIT);
        }
        cut(row, weights, factor, row[best], rows, b);
        return draw(weights, rows, b);
    }

    private static float weight(float logit, float largest, float factor) {
        return Exponential.exp((logit - largest) * factor);
    }

    private static void penalties(float[] row, SampledRows rows, int b) {
        float repetition = real(rows, b, REPETITION_PENALTY);
        float frequency = real(rows, b, FREQUENCY_PENALTY);
        float presence = real(rows, b, PRESENCE_PENALTY);
        if (repetition == 1 && frequency == 0 && presence == 0) {
            return;
        }
        // Occurrences in the answer; 0 for a token of the prompt alone.
        Map<Integer, Integer> counts = new HashMap<>();
        for (int i = 0; i < whole(rows, b, LENGTH); i++) {
            int id = Elements.getInt(rows.tokens(), whole(rows, b, ROW), i);
            if (id >= 0 && id < row.length) {
                counts.merge(id, i < whole(rows, b, PROMPT) ? 0 : 1, Integer::sum);
            }
        }
        counts.forEach((id, count) -> {
            float logit = row[id] > 0 ? row[id] / repetition : row[id] * repetition;
            row[id] = count == 0 ? logit : logit - (frequency * count + presence);
        });
    }

    /** Sets the weights of what top-k, top-p and min-p cut to 0. */
    private static void cut(float[] row, long[] weights, float factor, float largest, SampledRows rows, int b) {
        int topK = whole(rows, b, TOP_K);
        float topP = real(rows, b, TOP_P);
        float minP = real(rows, b, MIN_P);
        long most = topK > 0 ? topK : Long.MAX_VALUE;
        long mass = topP < 1
                ? (long) ((double) topP * (double) Arrays.stream(weights).sum())
                : Long.MAX_VALUE;
        Integer[] order = new Integer[row.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (x, y) -> {
            int byLogit = Float.compare(row[y] + 0f, row[x] + 0f);
            return byLogit != 0 ? byLogit : Integer.compare(x, y);
        });
        long before = 0;
        boolean cut = false;
        for (int rank = 0; rank < order.length; rank++) {
            int id = order[rank];
            cut |= rank >= most || before > mass || weight(row[id], largest, factor) < minP;
            before += weights[id];
            weights[id] = cut ? 0 : weights[id];
        }
    }

    private static int draw(long[] weights, SampledRows rows, int b) {
        long uniform = Integer.toUnsignedLong(whole(rows, b, UNIFORM_LOW)) | (long) whole(rows, b, UNIFORM_HIGH) << 32;
        long target = Math.unsignedMultiplyHigh(uniform, Arrays.stream(weights).sum());
        int id = 0;
        for (long upTo = weights[0]; upTo <= target; upTo += weights[id]) {
            id++;
        }
        return id;
    }

    private static int whole(SampledRows rows, int b, int column) {
        return Elements.getInt(rows.parameters(), b, column);
    }

    private static float real(SampledRows rows, int b, int column) {
        return Float.intBitsToFloat(whole(rows, b, column));
    }
}
