package dev.baton.engine.forward;

import dev.baton.engine.arch.ArchitectureSpec;
import dev.baton.engine.arch.Architectures;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.arch.WeightNames;
import dev.baton.model.DType;
import dev.baton.model.config.MlaConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.MoeConfig;
import dev.baton.model.config.Rope;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.model.safetensors.WeightSource;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * The truth that the serving path is held against: the model's equations in plain loops over one sequence, F32 weights,
 * sums in F64, no cache, no batching, no ranks, no shared code with the layers. Slow; for small models.
 */
public final class ReferenceForward {
    private final ModelConfig config;
    private final WeightSource weights;
    private final WeightNames names;
    private final boolean queryKeyNorm;
    private final Rope rope;
    private final Map<String, float[]> loaded = new HashMap<>();

    public ReferenceForward(ModelConfig config, WeightSource weights, RopePrecision ropePrecision) {
        ArchitectureSpec spec = Architectures.of(config);
        this.config = config;
        this.weights = weights;
        this.names = spec.names();
        this.queryKeyNorm = spec.queryKeyNorm();
        this.rope = ropePrecision.apply(Rope.of(config.rope()));
    }

    /** Logits after every token: [tokens][vocabulary]. */
    public float[][] logits(int[] ids) {
        int hidden = config.hiddenSize();
        float[] table = weight(names.embedding() + ".weight", config.vocabSize(), hidden);
        float[][] x = new float[ids.length][hidden];
        for (int t = 0; t < ids.length; t++) {
            System.arraycopy(table, ids[t] * hidden, x[t], 0, hidden);
        }
        float[] rotations = rope.table(ids.length);
        for (int layer = 0; layer < config.layers(); layer++) {
            String prefix = names.layer(layer);
            float[][] normed = norm(x, prefix + names.attentionNorm() + ".weight");
            String attention = prefix + names.attention();
            add(x, config.mla() != null ? latent(normed, attention, rotations) : grouped(normed, attention, rotations));
            normed = norm(x, prefix + names.mlpNorm() + ".weight");
            String mlp = prefix + names.mlp();
            add(
                    x,
                    config.sparse(layer)
                            ? experts(normed, mlp)
                            : mlp(normed, mlp, names.projections(), config.intermediateSize()));
        }
        String output = config.tiedEmbeddings() ? names.embedding() : names.output();
        return linear(norm(x, names.finalNorm() + ".weight"), output, config.vocabSize(), false);
    }

    private float[][] grouped(float[][] x, String prefix, float[] rotations) {
        int heads = config.heads();
        int kvHeads = config.kvHeads();
        int dim = config.headDim();
        float[][] q = linear(x, prefix + "q_proj", heads * dim, config.qkvBias());
        float[][] k = linear(x, prefix + "k_proj", kvHeads * dim, config.qkvBias());
        float[][] v = linear(x, prefix + "v_proj", kvHeads * dim, config.qkvBias());
        for (int t = 0; t < x.length; t++) {
            for (int h = 0; h < heads; h++) {
                normHead(q[t], h * dim, dim, prefix + "q_norm.weight");
                rotate(q[t], h * dim, t, rotations);
            }
            for (int h = 0; h < kvHeads; h++) {
                normHead(k[t], h * dim, dim, prefix + "k_norm.weight");
                rotate(k[t], h * dim, t, rotations);
            }
        }
        float[][] mixed = new float[x.length][heads * dim];
        for (int h = 0; h < heads; h++) {
            int group = h * kvHeads / heads;
            attend(q, h * dim, k, group * dim, dim, v, group * dim, dim, mixed, h * dim);
        }
        return linear(mixed, prefix + "o_proj", config.hiddenSize(), config.outputBias());
    }

    private void normHead(float[] x, int offset, int dim, String weight) {
        if (queryKeyNorm) {
            float[] head = new float[dim];
            System.arraycopy(x, offset, head, 0, dim);
            System.arraycopy(norm(new float[][] {head}, weight)[0], 0, x, offset, dim);
        }
    }

    /** Keys and values expanded from the latents. */
    private float[][] latent(float[][] x, String prefix, float[] rotations) {
        MlaConfig mla = Objects.requireNonNull(config.mla());
        int heads = config.heads();
        int nope = mla.qkNopeHeadDim();
        int ropeDim = mla.qkRopeHeadDim();
        int value = mla.vHeadDim();
        int dim = nope + ropeDim;
        float[][] low = x;
        if (mla.hasQueryLowRank()) {
            low = norm(
                    linear(x, prefix + "q_a_proj", mla.qLoraRank(), config.qkvBias()), prefix + "q_a_layernorm.weight");
        }
        float[][] q = linear(low, prefix + (mla.hasQueryLowRank() ? "q_b_proj" : "q_proj"), heads * dim, false);
        float[][] down = linear(x, prefix + "kv_a_proj_with_mqa", mla.cacheDim(), config.qkvBias());
        float[][] latents = norm(head(down, mla.kvLoraRank()), prefix + "kv_a_layernorm.weight");
        float[][] up = linear(latents, prefix + "kv_b_proj", heads * (nope + value), false);
        float[][] k = new float[x.length][heads * dim];
        for (int t = 0; t < x.length; t++) {
            rotate(down[t], mla.kvLoraRank(), t, rotations);
            for (int h = 0; h < heads; h++) {
                rotate(q[t], h * dim + nope, t, rotations);
                System.arraycopy(up[t], h * (nope + value), k[t], h * dim, nope);
                System.arraycopy(down[t], mla.kvLoraRank(), k[t], h * dim + nope, ropeDim);
            }
        }
        float[][] mixed = new float[x.length][heads * value];
        for (int h = 0; h < heads; h++) {
            attend(q, h * dim, k, h * dim, dim, up, h * (nope + value) + nope, value, mixed, h * value);
        }
        return linear(mixed, prefix + "o_proj", config.hiddenSize(), config.outputBias());
    }

    private static float[][] head(float[][] x, int columns) {
        float[][] out = new float[x.length][columns];
        for (int t = 0; t < x.length; t++) {
            System.arraycopy(x[t], 0, out[t], 0, columns);
        }
        return out;
    }

    /** One head's causal attention. */
    private void attend(
            float[][] q,
            int qAt,
            float[][] k,
            int kAt,
            int dim,
            float[][] v,
            int vAt,
            int valueDim,
            float[][] out,
            int outAt) {
        for (int t = 0; t < q.length; t++) {
            double[] scores = new double[t + 1];
            double max = Double.NEGATIVE_INFINITY;
            for (int s = 0; s <= t; s++) {
                double dot = 0;
                for (int i = 0; i < dim; i++) {
                    dot += (double) q[t][qAt + i] * k[s][kAt + i];
                }
                scores[s] = dot * config.attentionScale();
                max = Math.max(max, scores[s]);
            }
            double sum = 0;
            for (int s = 0; s <= t; s++) {
                scores[s] = Math.exp(scores[s] - max);
                sum += scores[s];
            }
            for (int i = 0; i < valueDim; i++) {
                double mixed = 0;
                for (int s = 0; s <= t; s++) {
                    mixed += scores[s] * v[s][vAt + i];
                }
                out[t][outAt + i] = (float) (mixed / sum);
            }
        }
    }

    private void rotate(float[] x, int offset, int position, float[] rotations) {
        int half = rope.rotaryDim() / 2;
        boolean interleaved = config.rope().interleaved();
        for (int i = 0; i < half; i++) {
            int a = offset + (interleaved ? 2 * i : i);
            int b = offset + (interleaved ? 2 * i + 1 : i + half);
            float cos = rotations[position * 2 * half + i];
            float sin = rotations[position * 2 * half + half + i];
            float first = x[a];
            float second = x[b];
            x[a] = first * cos - second * sin;
            x[b] = second * cos + first * sin;
        }
    }

    private float[][] mlp(float[][] x, String prefix, WeightNames.Projections projections, int intermediate) {
        float[][] gate = linear(x, prefix + projections.gate(), intermediate, false);
        float[][] up = linear(x, prefix + projections.up(), intermediate, false);
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < intermediate; i++) {
                double g = gate[t][i];
                gate[t][i] = (float) (g / (1 + Math.exp(-g)) * up[t][i]);
            }
        }
        return linear(gate, prefix + projections.down(), config.hiddenSize(), false);
    }

    private float[][] experts(float[][] x, String prefix) {
        MoeConfig moe = Objects.requireNonNull(config.moe());
        float[][] logits = linear(x, prefix + names.router(), moe.experts(), false);
        float[][] out = moe.sharedExperts() > 0
                ? mlp(x, prefix + names.sharedExperts(), names.projections(), moe.sharedIntermediateSize())
                : new float[x.length][config.hiddenSize()];
        float[] bias = moe.correctionBias()
                ? weight(prefix + names.correctionBias(), moe.experts())
                : new float[moe.experts()];
        for (int t = 0; t < x.length; t++) {
            double[] scores = ReferenceGate.scores(moe, logits[t]);
            int[] chosen = ReferenceGate.choose(moe, scores, bias);
            double sum = 0;
            for (int e : chosen) {
                sum += scores[e];
            }
            for (int e : chosen) {
                double weight = scores[e] / (moe.normalizeTopK() ? sum : 1) * moe.routedScale();
                float[][] y = mlp(
                        new float[][] {x[t]},
                        prefix + names.expert(e),
                        names.expertProjections(),
                        moe.intermediateSize());
                for (int i = 0; i < y[0].length; i++) {
                    out[t][i] += (float) (weight * y[0][i]);
                }
            }
        }
        return out;
    }

    private float[][] linear(float[][] x, String name, int out, boolean hasBias) {
        int in = x[0].length;
        float[] matrix = weight(name + ".weight", out, in);
        float[] bias = hasBias ? weight(name + ".bias", out) : new float[out];
        float[][] y = new float[x.length][out];
        for (int t = 0; t < x.length; t++) {
            for (int o = 0; o < out; o++) {
                double sum = bias[o];
                for (int i = 0; i < in; i++) {
                    sum += (double) x[t][i] * matrix[o * in + i];
                }
                y[t][o] = (float) sum;
            }
        }
        return y;
    }

    private float[][] norm(float[][] x, String name) {
        int n = x[0].length;
        float[] weight = weight(name, n);
        float[][] y = new float[x.length][n];
        for (int t = 0; t < x.length; t++) {
            double squares = 0;
            for (float value : x[t]) {
                squares += (double) value * value;
            }
            double scale = 1 / Math.sqrt(squares / n + config.rmsNormEpsilon());
            for (int i = 0; i < n; i++) {
                y[t][i] = (float) (x[t][i] * scale * weight[i]);
            }
        }
        return y;
    }

    private static void add(float[][] x, float[][] y) {
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < x[t].length; i++) {
                x[t][i] += y[t][i];
            }
        }
    }

    private float[] weight(String name, long... shape) {
        return loaded.computeIfAbsent(name, key -> {
            StoredTensor stored = weights.get(key, config.dtype(), shape);
            float[] values = stored.toFloats();
            if (stored.dtype() == DType.F8_E4M3) {
                scaleBlocks(values, key, (int) shape[0], (int) shape[1]);
            }
            return values;
        });
    }

    /** Multiplies each 128 x 128 block of a matrix by its scale. */
    private void scaleBlocks(float[] matrix, String name, int rows, int columns) {
        int blocks = (columns + 127) / 128;
        float[] scales = weights.get(name + "_scale_inv", DType.F32, (rows + 127) / 128, blocks)
                .toFloats();
        for (int i = 0; i < matrix.length; i++) {
            matrix[i] *= scales[i / columns / 128 * blocks + i % columns / 128];
        }
    }
}
