package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head, grouped-query and multi-query attention with rotary positions. A rank has heads/ranks query heads and
 * max(1, kvHeads/ranks) key/value heads.
 */
final class GroupedAttention implements AttentionBlock {
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final boolean interleaved;
    private final float scale;
    private final float epsilon;
    /** [heads * headDim, hidden] */
    private final Weight query;
    /** [kvHeads * headDim, hidden] */
    private final Weight key;
    /** [kvHeads * headDim, hidden] */
    private final Weight value;
    /** [hidden, heads * headDim] */
    private final Weight output;
    /** F32 [headDim]; null when heads are not normed. */
    private final @Nullable Tensor queryNorm;

    private final @Nullable Tensor keyNorm;
    /** F32 [positions, rotaryDim] */
    private final Tensor rope;

    private final BufferSpec queries;
    private final BufferSpec keys;
    private final BufferSpec values;
    private final BufferSpec attended;

    GroupedAttention(
            ModelConfig config,
            ArchitectureSpec spec,
            Layout layout,
            WeightLoader weights,
            String prefix,
            Tensor rope,
            WorkspacePlan workspace) {
        Shard shard = layout.attention();
        this.headDim = config.headDim();
        this.heads = shard.length("num_attention_heads", config.heads());
        this.kvHeads = layout.localKvHeads(config.kvHeads());
        this.interleaved = config.rope().interleaved();
        this.scale = config.attentionScale();
        this.epsilon = (float) config.rmsNormEpsilon();
        this.rope = rope;

        int hidden = config.hiddenSize();
        int allHeads = config.heads() * headDim;
        int allKvHeads = config.kvHeads() * headDim;
        int firstHead = shard.first("num_attention_heads", config.heads()) * headDim;
        int firstKvHead = layout.firstKvHead(config.kvHeads()) * headDim;
        boolean bias = config.qkvBias();
        this.query = weights.rows(prefix + "q_proj", allHeads, hidden, firstHead, heads * headDim, bias);
        this.key = weights.rows(prefix + "k_proj", allKvHeads, hidden, firstKvHead, kvHeads * headDim, bias);
        this.value = weights.rows(prefix + "v_proj", allKvHeads, hidden, firstKvHead, kvHeads * headDim, bias);
        this.output = weights.columns(
                prefix + "o_proj",
                hidden,
                allHeads,
                firstHead,
                heads * headDim,
                config.outputBias() && shard.rank() == 0);
        this.queryNorm = spec.queryKeyNorm() ? weights.vector(prefix + "q_norm.weight", headDim) : null;
        this.keyNorm = spec.queryKeyNorm() ? weights.vector(prefix + "k_norm.weight", headDim) : null;

        this.queries = workspace.activations("attention.query", heads * headDim);
        this.keys = workspace.activations("attention.key", kvHeads * headDim);
        this.values = workspace.activations("attention.value", kvHeads * headDim);
        this.attended = workspace.activations("attention.out", heads * headDim);
    }

    @Override
    public void forward(ForwardContext context, int layer, Tensor x, Tensor out) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        StepInputs inputs = context.inputs();
        Workspace workspace = context.workspace();
        LayerCache.Heads cache = (LayerCache.Heads) context.cache().get(layer);
        Tensor q = workspace.rows(queries, tokens);
        Tensor k = workspace.rows(keys, tokens);
        Tensor v = workspace.rows(values, tokens);
        Tensor mixed = workspace.rows(attended, tokens);

        ops.linear(x, query, q);
        ops.linear(x, key, k);
        ops.linear(x, value, v);
        if (queryNorm != null && keyNorm != null) {
            normHeads(ops, q, heads, queryNorm);
            normHeads(ops, k, kvHeads, keyNorm);
        }
        int rotaryDim = rope.columns();
        ops.rope(q, inputs.positions(), rope, heads, headDim, 0, rotaryDim, interleaved);
        ops.rope(k, inputs.positions(), rope, kvHeads, headDim, 0, rotaryDim, interleaved);
        ops.scatterRows(k, inputs.slots(), cache.keys());
        ops.scatterRows(v, inputs.slots(), cache.values());
        ops.attention(q, cache.keys(), cache.values(), inputs.batch(), heads, kvHeads, headDim, headDim, scale, mixed);
        ops.linear(mixed, output, out);
        context.allReduce(out);
    }

    /** Every head [headDim] of x [T, count * headDim] is normed by itself. */
    private void normHeads(Ops ops, Tensor x, int count, Tensor weight) {
        Tensor perHead = x.reshape((long) x.rows() * count, headDim);
        ops.rmsNorm(perHead, weight, epsilon, perHead);
    }
}
