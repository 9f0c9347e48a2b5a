package dev.baton.tensor.cpu;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * The operators as plain loops, one thread, sums in double: what the vector kernels are compared with. Slow by
 * intention; it allocates as it likes.
 */
final class ScalarOps implements Ops {
    /** Side of the square of an F8 matrix that shares one scale. */
    static final int SCALE_BLOCK = 128;

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        OpChecks.embed(ids, table, out);
        for (int t = 0; t < out.rows(); t++) {
            long row = (long) Elements.getInt(ids, t) - firstId;
            for (int i = 0; i < out.columns(); i++) {
                Elements.set(out, t, i, row < 0 || row >= table.rows() ? 0 : Elements.get(table, row, i));
            }
        }
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        OpChecks.rmsNorm(x, weight, out);
        int n = x.columns();
        for (int t = 0; t < x.rows(); t++) {
            double squares = 0;
            for (int i = 0; i < n; i++) {
                double value = Elements.get(x, t, i);
                squares += value * value;
            }
            double factor = 1 / Math.sqrt(squares / n + epsilon);
            for (int i = 0; i < n; i++) {
                float value = (float) (Elements.get(x, t, i) * factor);
                Elements.set(out, t, i, value * Elements.get(weight.memory(), weight.dtype(), i));
            }
        }
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        OpChecks.rmsNorm(residual, weight, out);
        add(residual, x);
        rmsNorm(residual, weight, epsilon, out);
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        OpChecks.linear(x, weight, out);
        for (int t = 0; t < x.rows(); t++) {
            for (int n = 0; n < weight.outFeatures(); n++) {
                Elements.set(out, t, n, dot(x, t, 0, weight, n));
            }
        }
    }

    /** Output feature n of a layer for the elements of row t that begin at {@code column}. */
    private static float dot(Tensor x, int t, int column, Weight weight, int n) {
        Tensor matrix = weight.matrix();
        Tensor bias = weight.bias();
        double sum = 0;
        for (int k = 0; k < matrix.columns(); k++) {
            sum += (double) Elements.get(x, t, column + k) * element(matrix, weight.blockScales(), n, k);
        }
        return (float) (bias == null ? sum : sum + Elements.get(bias.memory(), bias.dtype(), n));
    }

    /** Element [n, k] of a weight, its block's scale applied. */
    private static float element(Tensor matrix, @Nullable Tensor scales, int n, int k) {
        float value = Elements.get(matrix, n, k);
        return scales == null ? value : value * Elements.get(scales, n / SCALE_BLOCK, k / SCALE_BLOCK);
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        OpChecks.headLinear(x, matrices, out);
        int heads = (int) matrices.size(0);
        for (int h = 0; h < heads; h++) {
            Weight weight = Weight.of(matrices.matrix(h));
            for (int row = h; row < x.rows(); row += heads) {
                for (int n = 0; n < out.columns(); n++) {
                    Elements.set(out, row, n, dot(x, row, 0, weight, n));
                }
            }
        }
    }

    @Override
    public void add(Tensor target, Tensor x) {
        OpChecks.add(target, x);
        for (int t = 0; t < x.rows(); t++) {
            for (int i = 0; i < x.columns(); i++) {
                Elements.set(target, t, i, Elements.get(target, t, i) + Elements.get(x, t, i));
            }
        }
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        OpChecks.copy(x, out);
        for (int t = 0; t < x.rows(); t++) {
            for (int i = 0; i < x.columns(); i++) {
                Elements.set(out, t, i, Elements.get(x, t, i));
            }
        }
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        OpChecks.siluMul(gate, up, out);
        for (int t = 0; t < gate.rows(); t++) {
            for (int i = 0; i < gate.columns(); i++) {
                Elements.set(out, t, i, silu(Elements.get(gate, t, i)) * Elements.get(up, t, i));
            }
        }
    }

    static float silu(float x) {
        return (float) (x / (1 + Math.exp(-x)));
    }

    @Override
    public void rope(
            Tensor x,
            Tensor positions,
            Tensor table,
            int heads,
            int headDim,
            int offset,
            int rotaryDim,
            boolean interleaved) {
        OpChecks.rope(x, positions, table, heads, headDim, offset, rotaryDim);
        int half = rotaryDim / 2;
        for (int t = 0; t < x.rows(); t++) {
            int position = OpChecks.slot("rope", Elements.getInt(positions, t), table);
            for (int h = 0; h < heads; h++) {
                int start = h * headDim + offset;
                for (int i = 0; i < half; i++) {
                    int first = start + (interleaved ? 2 * i : i);
                    int second = start + (interleaved ? 2 * i + 1 : i + half);
                    float cos = Elements.get(table, position, i);
                    float sin = Elements.get(table, position, half + i);
                    float a = Elements.get(x, t, first);
                    float b = Elements.get(x, t, second);
                    Elements.set(x, t, first, a * cos - b * sin);
                    Elements.set(x, t, second, b * cos + a * sin);
                }
            }
        }
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        OpChecks.scatterRows(x, slots, cache);
        for (int t = 0; t < x.rows(); t++) {
            int slot = OpChecks.slot("scatterRows", Elements.getInt(slots, t), cache);
            for (int i = 0; i < x.columns(); i++) {
                Elements.set(cache, slot, i, Elements.get(x, t, i));
            }
        }
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        OpChecks.gatherRows(cache, slots, out);
        for (int t = 0; t < out.rows(); t++) {
            int slot = OpChecks.slot("gatherRows", Elements.getInt(slots, t), cache);
            for (int i = 0; i < out.columns(); i++) {
                Elements.set(out, t, i, Elements.get(cache, slot, i));
            }
        }
    }

    @Override
    public void attention(
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
        OpChecks.attention(q, keys, values, batch, heads, kvHeads, headDim, valueDim, out);
        ScalarAttention.run(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
    }

    /** Latent attention is attention with one key head, whose first latentDim elements are the value. */
    @Override
    public void latentAttention(
            Tensor q,
            Tensor cache,
            AttentionBatch batch,
            int heads,
            int latentDim,
            int ropeDim,
            float scale,
            Tensor out) {
        OpChecks.latentAttention(q, cache, batch, heads, latentDim, ropeDim, out);
        ScalarAttention.run(q, cache, cache, batch, heads, 1, latentDim + ropeDim, latentDim, scale, out);
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        OpChecks.gate(logits, spec, ids, weights);
        int experts = logits.columns();
        double[] scores = new double[experts];
        GateChoice choice = new GateChoice();
        choice.prepare(experts, spec.topK());
        Tensor bias = spec.correctionBias();
        if (bias != null) {
            choice.bias = new float[experts];
            for (int e = 0; e < experts; e++) {
                choice.bias[e] = Elements.get(bias.memory(), bias.dtype(), e);
            }
        }
        for (int t = 0; t < logits.rows(); t++) {
            scores(logits, t, spec.scoring(), scores);
            for (int e = 0; e < experts; e++) {
                choice.scores[e] = (float) scores[e];
            }
            choice.choose(experts, spec);
            for (int k = 0; k < spec.topK(); k++) {
                Elements.setInt(ids, t, k, choice.ids[k]);
                Elements.set(weights, t, k, choice.weights[k]);
            }
        }
    }

    private static void scores(Tensor logits, int t, GateSpec.Scoring scoring, double[] scores) {
        int experts = scores.length;
        switch (scoring) {
            case SIGMOID -> {
                for (int e = 0; e < experts; e++) {
                    scores[e] = 1 / (1 + Math.exp(-Elements.get(logits, t, e)));
                }
            }
            case SOFTMAX -> {
                double max = Double.NEGATIVE_INFINITY;
                for (int e = 0; e < experts; e++) {
                    max = Math.max(max, Elements.get(logits, t, e));
                }
                double sum = 0;
                for (int e = 0; e < experts; e++) {
                    scores[e] = Math.exp(Elements.get(logits, t, e) - max);
                    sum += scores[e];
                }
                for (int e = 0; e < experts; e++) {
                    scores[e] /= sum;
                }
            }
        }
    }

    /** Adds the experts in the order of their ids. */
    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        OpChecks.experts(x, ids, weights, experts, out);
        int hidden = x.columns();
        for (int t = 0; t < x.rows(); t++) {
            double[] sum = new double[hidden];
            for (int e = 0; e < experts.count(); e++) {
                for (int k = 0; k < ids.columns(); k++) {
                    if (Elements.getInt(ids, t, k) == experts.firstExpert() + e) {
                        addExpert(x, t, experts, e, Elements.get(weights, t, k), sum);
                    }
                }
            }
            for (int i = 0; i < hidden; i++) {
                Elements.set(out, t, i, (float) sum[i]);
            }
        }
    }

    private static void addExpert(Tensor x, int t, ExpertWeights experts, int e, float weight, double[] sum) {
        Weight gate = experts.gate().get(e);
        Weight up = experts.up().get(e);
        Weight down = experts.down().get(e);
        float[] inner = new float[gate.outFeatures()];
        for (int i = 0; i < inner.length; i++) {
            inner[i] = silu(dot(x, t, 0, gate, i)) * dot(x, t, 0, up, i);
        }
        Tensor bias = down.bias();
        for (int n = 0; n < sum.length; n++) {
            double y = bias == null ? 0 : Elements.get(bias.memory(), bias.dtype(), n);
            for (int i = 0; i < inner.length; i++) {
                y += (double) inner[i] * element(down.matrix(), down.blockScales(), n, i);
            }
            sum[n] += weight * y;
        }
    }

    @Override
    public void argmax(Tensor logits, Tensor out) {
        OpChecks.argmax(logits, out);
        for (int t = 0; t < logits.rows(); t++) {
            int best = 0;
            float bestValue = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < logits.columns(); i++) {
                float value = Elements.get(logits, t, i);
                if (value > bestValue) {
                    bestValue = value;
                    best = i;
                }
            }
            out.memory().set(java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED, 4L * t, best);
        }
    }

    @Override
    public void sample(Tensor logits, SampledRows rows, Tensor out) {
        OpChecks.sample(logits, rows, out);
        for (int b = 0; b < logits.rows(); b++) {
            Elements.setInt(out, 0, b, ScalarSampling.sample(logits, rows, b));
        }
    }

    @Override
    public void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        OpChecks.beginStep(exchange, packed, tokens, tokenTable, slotTable);
        int turn = Elements.getInt(exchange.turn(), 0);
        for (int i = 0; i < packed.elements(); i++) {
            Elements.setInt(packed, 0, i, Elements.getInt(exchange.inputs(), turn, i));
        }
        for (int t = 0; t < tokens; t++) {
            int place = Elements.getInt(packed, 3L * tokens + t);
            int id = Elements.getInt(packed, t);
            if (id < 0) {
                Elements.setInt(packed, 0, t, Elements.getInt(tokenTable, place));
            } else {
                Elements.setInt(tokenTable, 0, place, id);
            }
            Elements.setInt(slotTable, 0, place, Elements.getInt(packed, 2L * tokens + t));
        }
        Elements.setInt(exchange.turn(), 0, 0, 1 - turn);
    }

    @Override
    public void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        OpChecks.endStep(exchange, chosen, places, first, tokenTable);
        int turn = 1 - Elements.getInt(exchange.turn(), 0);
        for (int i = 0; i < chosen.elements(); i++) {
            int id = Elements.getInt(chosen, i);
            Elements.setInt(tokenTable, 0, Elements.getInt(places, i), id);
            Elements.setInt(exchange.choices(), turn, first + i, id);
        }
    }
}
