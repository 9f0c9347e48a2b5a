package dev.baton.tensor.cpu;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;

/** Causal attention over a paged cache, one query and head at a time, softmax in double. */
final class ScalarAttention {
    private ScalarAttention() {}

    static void run(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            int valueDim,
            float scale,
            Tensor out) {
        for (int b = 0; b < batch.sequences(); b++) {
            int from = Elements.getInt(batch.queryStart(), b);
            int to = Elements.getInt(batch.queryStart(), b + 1);
            int context = Elements.getInt(batch.contextLengths(), b);
            int[] slots = slots(batch, b, context, keys);
            for (int t = from; t < to; t++) {
                int visible = context - (to - 1 - t);
                for (int h = 0; h < heads; h++) {
                    int kvHead = h * kvHeads / heads;
                    double[] p = probabilities(q, t, h, keys, kvHead, slots, visible, headDim, scale);
                    for (int i = 0; i < valueDim; i++) {
                        double sum = 0;
                        for (int position = 0; position < visible; position++) {
                            sum += p[position] * Elements.get(values, slots[position], (long) kvHead * valueDim + i);
                        }
                        Elements.set(out, t, (long) h * valueDim + i, (float) sum);
                    }
                }
            }
        }
    }

    private static int[] slots(AttentionBatch batch, int b, int context, Tensor cache) {
        int row = Elements.getInt(batch.rows(), b);
        int[] slots = new int[context];
        for (int position = 0; position < context; position++) {
            slots[position] = OpChecks.slot("attention", Elements.getInt(batch.slotTable(), row, position), cache);
        }
        return slots;
    }

    /** Softmax of the scaled scores of query t, head h. */
    private static double[] probabilities(
            Tensor q, int t, int h, Tensor keys, int kvHead, int[] slots, int visible, int headDim, float scale) {
        double[] p = new double[visible];
        double max = Double.NEGATIVE_INFINITY;
        for (int position = 0; position < visible; position++) {
            double dot = 0;
            for (int i = 0; i < headDim; i++) {
                dot += (double) Elements.get(q, t, (long) h * headDim + i)
                        * Elements.get(keys, slots[position], (long) kvHead * headDim + i);
            }
            p[position] = dot * scale;
            max = Math.max(max, p[position]);
        }
        double sum = 0;
        for (int position = 0; position < visible; position++) {
            p[position] = Math.exp(p[position] - max);
            sum += p[position];
        }
        for (int position = 0; position < visible; position++) {
            p[position] /= sum;
        }
        return p;
    }
}
