package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head, grouped-query and multi-query attention with rotary positions. A rank has about heads/ranks query
 * heads and max(1, kvHeads/ranks) key/value heads, see {@link Layout}.
 */
final class GroupedAttention implements AttentionBlock {
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final boolean interleaved;
    private final float scale;
    private final float epsilon;
    /** Queries [heads * headDim, hidden], keys and values [kvHeads * headDim, hidden]. */
    private final LinearGroup projections;
    /** [hidden, heads * headDim] */
    private final Weight output;
    /** F32 [headDim]; null when heads are not normed. */
    private final @Nullable Tensor queryNorm;

    private final @Nullable Tensor keyNorm;
    /** F32 [positions, rotaryDim] */
    private final Tensor rope;

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
        this.heads = layout.localHeads(config.heads(), config.kvHeads());
        this.kvHeads = layout.localKvHeads(config.kvHeads());
        this.interleaved = config.rope().interleaved();
        this.scale = config.attentionScale();
        this.epsilon = (float) config.rmsNormEpsilon();
        this.rope = rope;

        int hidden = config.hiddenSize();
        int allHeads = config.heads() * headDim;
        int allKvHeads = config.kvHeads() * headDim;
        int firstHead = layout.firstHead(config.heads(), config.kvHeads()) * headDim;
        int firstKvHead = layout.firstKvHead(config.kvHeads()) * headDim;
        boolean bias = config.qkvBias();
        Weight q = weights.rows(prefix + "q_proj", allHeads, hidden, firstHead, heads * headDim, bias);
        Weight k = weights.rows(prefix + "k_proj", allKvHeads, hidden, firstKvHead, kvHeads * headDim, bias);
        Weight v = weights.rows(prefix + "v_proj", allKvHeads, hidden, firstKvHead, kvHeads * headDim, bias);
        this.output = weights.columns(
                prefix + "o_proj",
                hidden,
                allHeads,
                firstHead,
                heads * headDim,
                config.outputBias() && shard.rank() == 0);
        this.queryNorm = spec.queryKeyNorm() ? weights.vector(prefix + "q_norm.weight", headDim) : null;
        this.keyNorm = spec.queryKeyNorm() ? weights.vector(prefix + "k_norm.weight", headDim) : null;

        // Heads that are normed one by one must lie densely, so each of their projections has a buffer of its own.
        this.projections = LinearGroup.of(
                weights.device(),
                List.of(q, k, v),
                spec.queryKeyNorm(),
                workspace,
                "attention.query",
                "attention.key",
                "attention.value");
        this.attended = workspace.activations("attention.out", heads * headDim);
    }

    @Override
    public void forward(ForwardContext context, int layer, Tensor x, Tensor out) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        StepInputs inputs = context.inputs();
        Workspace workspace = context.workspace();
        LayerCache.Heads cache = (LayerCache.Heads) context.cache().get(layer);
        Tensor mixed = workspace.rows(attended, tokens);

        Tensor[] projected = projections.forward(ops, workspace, x);
        Tensor q = projected[0];
        Tensor k = projected[1];
        if (queryNorm != null && keyNorm != null) {
            normHeads(ops, q, heads, queryNorm);
            normHeads(ops, k, kvHeads, keyNorm);
        }
        ops.ropeAndStore(
                q,
                k,
                projected[2],
                inputs.positions(),
                rope,
                heads,
                kvHeads,
                headDim,
                interleaved,
                inputs.slots(),
                cache.keys(),
                cache.values());
        ops.attention(q, cache.keys(), cache.values(), inputs.batch(), heads, kvHeads, headDim, headDim, scale, mixed);
        ops.linear(mixed, output, out);
        context.attentionAllReduce(out);
    }

    /** Whether {@link #fused} can stand for {@link #forward}: one product for whole plain heads. */
    boolean isFusable() {
        return projections.merged() != null
                && queryNorm == null
                && !interleaved
                && rope.columns() == headDim
                && headDim % 16 == 0;
    }

    /** As {@link #forward} on a single rank, from and to the residual stream with fused operators. */
    void fused(ForwardContext context, int layer, NormedRows rows, Tensor nextNorm) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        StepInputs inputs = context.inputs();
        LayerCache.Heads cache = (LayerCache.Heads) context.cache().get(layer);
        Tensor mixed = context.workspace().rows(attended, tokens);
        Tensor projected = projections.mergedResult(context.workspace(), tokens);
        ops.linearHeads(
                rows,
                Objects.requireNonNull(projections.merged()),
                inputs.positions(),
                rope,
                heads,
                kvHeads,
                headDim,
                inputs.slots(),
                cache.keys(),
                cache.values(),
                projected);
        Tensor q = projected.columnRange(0, (long) heads * headDim);
        ops.attention(q, cache.keys(), cache.values(), inputs.batch(), heads, kvHeads, headDim, headDim, scale, mixed);
        ops.linearAdd(mixed, output, rows, nextNorm);
    }

    /** Every head [headDim] of x [T, count * headDim] is normed by itself. */
    private void normHeads(Ops ops, Tensor x, int count, Tensor weight) {
        Tensor perHead = x.reshape((long) x.rows() * count, headDim);
        ops.rmsNorm(perHead, weight, epsilon, perHead);
    }
}
