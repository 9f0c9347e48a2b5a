package dev.baton.engine.arch;

import dev.baton.model.config.MlaConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head latent attention (DeepSeek-V2 technical report, section 2.1). The cache holds one latent and one rotated
 * key a token, the same on every rank; query heads are split over the ranks.
 *
 * <p>Two forms give the same result. Absorbed: queries are carried into the latent space ({@code W_k^T q}), attention
 * runs on the latents, its result is carried back by {@code W_v}. Naive: keys and values are expanded from the latents,
 * which costs 3.4 times less per pair of tokens but needs all latents expanded; it is used where a step attends to
 * nothing but its own tokens.
 */
final class LatentAttention implements AttentionBlock {
    private final int heads;
    private final int latentDim;
    private final int nopeDim;
    private final int ropeDim;
    private final int valueDim;
    private final boolean interleaved;
    private final boolean alwaysAbsorbed;
    private final float scale;
    private final float epsilon;

    /** [qLoraRank, hidden]; null when queries are projected directly. */
    private final @Nullable Weight queryDown;
    /** F32 [qLoraRank] */
    private final @Nullable Tensor queryNorm;
    /** [heads * (nope + rope), qLoraRank or hidden] */
    private final Weight queryUp;
    /** [latent + rope, hidden], whole on every rank */
    private final Weight latentDown;
    /** F32 [latent] */
    private final Tensor latentNorm;
    /** [heads * (nope + value), latent] */
    private final Weight latentUp;
    /** [heads, latent, nope]: the key part of latentUp, transposed */
    private final Tensor keyIntoLatent;
    /** [heads, value, latent]: the value part of latentUp */
    private final Tensor latentIntoValue;
    /** [hidden, heads * value] */
    private final Weight output;
    /** F32 [positions, rope] */
    private final Tensor rope;

    private final Buffers buffers;

    /**
     * Buffers of a step, activations; h stands for this rank's heads.
     *
     * @param queryLatent [T, qLoraRank]; null when queries are projected directly
     * @param query [T, h * (nope + rope)]
     * @param latent [T, latent + rope]
     * @param absorbed [T, h * latent]
     * @param absorbedQuery [T, h * (latent + rope)]
     * @param expanded [T, h * (nope + value)]
     * @param keys [T, h * (nope + rope)]
     * @param values [T, h * value]
     * @param mixed [T, h * value]
     */
    private record Buffers(
            @Nullable BufferSpec queryLatent,
            BufferSpec query,
            BufferSpec latent,
            BufferSpec absorbed,
            BufferSpec absorbedQuery,
            BufferSpec expanded,
            BufferSpec keys,
            BufferSpec values,
            BufferSpec mixed) {}

    LatentAttention(
            ModelConfig config,
            Layout layout,
            WeightLoader weights,
            String prefix,
            Tensor rope,
            WorkspacePlan workspace,
            boolean alwaysAbsorbed) {
        MlaConfig mla = Objects.requireNonNull(config.mla());
        Shard shard = layout.attention();
        this.alwaysAbsorbed = alwaysAbsorbed;
        this.heads = shard.length("num_attention_heads", config.heads());
        this.latentDim = mla.kvLoraRank();
        this.nopeDim = mla.qkNopeHeadDim();
        this.ropeDim = mla.qkRopeHeadDim();
        this.valueDim = mla.vHeadDim();
        this.interleaved = config.rope().interleaved();
        this.scale = config.attentionScale();
        this.epsilon = (float) config.rmsNormEpsilon();
        this.rope = rope;

        int hidden = config.hiddenSize();
        int all = config.heads();
        int first = shard.first("num_attention_heads", all);
        int queryDim = mla.qkHeadDim();
        boolean bias = config.qkvBias();
        if (mla.hasQueryLowRank()) {
            int rank = mla.qLoraRank();
            this.queryDown = weights.linear(prefix + "q_a_proj", rank, hidden, bias);
            this.queryNorm = weights.vector(prefix + "q_a_layernorm.weight", rank);
            this.queryUp =
                    weights.rows(prefix + "q_b_proj", all * queryDim, rank, first * queryDim, heads * queryDim, false);
        } else {
            this.queryDown = null;
            this.queryNorm = null;
            this.queryUp =
                    weights.rows(prefix + "q_proj", all * queryDim, hidden, first * queryDim, heads * queryDim, false);
        }
        this.latentDown = weights.linear(prefix + "kv_a_proj_with_mqa", latentDim + ropeDim, hidden, bias);
        this.latentNorm = weights.vector(prefix + "kv_a_layernorm.weight", latentDim);
        int upDim = nopeDim + valueDim;
        this.latentUp = weights.rows(prefix + "kv_b_proj", all * upDim, latentDim, first * upDim, heads * upDim, false);
        String up = prefix + "kv_b_proj.weight";
        this.keyIntoLatent = weights.headMatrices(up, all, upDim, latentDim, first, heads, 0, nopeDim, true);
        this.latentIntoValue = weights.headMatrices(up, all, upDim, latentDim, first, heads, nopeDim, valueDim, false);
        this.output = weights.columns(
                prefix + "o_proj",
                hidden,
                all * valueDim,
                first * valueDim,
                heads * valueDim,
                config.outputBias() && shard.rank() == 0);
        this.buffers = new Buffers(
                mla.hasQueryLowRank() ? workspace.activations("attention.queryLatent", mla.qLoraRank()) : null,
                workspace.activations("attention.query", heads * queryDim),
                workspace.activations("attention.latent", latentDim + ropeDim),
                workspace.activations("attention.absorbed", heads * latentDim),
                workspace.activations("attention.absorbedQuery", heads * (latentDim + ropeDim)),
                // A step takes one form or the other, so that these share memory with the absorbed ones.
                workspace.activations("attention.absorbed", heads * upDim),
                workspace.activations("attention.absorbedQuery", heads * queryDim),
                workspace.activations("attention.value", heads * valueDim),
                workspace.activations("attention.out", heads * valueDim));
    }

    @Override
    public void forward(ForwardContext context, int layer, Tensor x, Tensor out) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        StepInputs inputs = context.inputs();
        LayerCache.Latent cache = (LayerCache.Latent) context.cache().get(layer);

        Tensor query = workspace.rows(buffers.query(), tokens);
        if (queryDown != null && queryNorm != null && buffers.queryLatent() != null) {
            Tensor low = workspace.rows(buffers.queryLatent(), tokens);
            ops.linear(x, queryDown, low);
            ops.rmsNorm(low, queryNorm, epsilon, low);
            ops.linear(low, queryUp, query);
        } else {
            ops.linear(x, queryUp, query);
        }
        Tensor latent = workspace.rows(buffers.latent(), tokens);
        ops.linear(x, latentDown, latent);
        Tensor normed = latent.columnRange(0, latentDim);
        ops.rmsNorm(normed, latentNorm, epsilon, normed);
        ops.rope(query, inputs.positions(), rope, heads, nopeDim + ropeDim, nopeDim, ropeDim, interleaved);
        ops.rope(latent, inputs.positions(), rope, 1, latentDim + ropeDim, latentDim, ropeDim, interleaved);
        ops.scatterRows(latent, inputs.slots(), cache.rows());

        Tensor mixed = workspace.rows(buffers.mixed(), tokens);
        if (inputs.wholePrompts() && !alwaysAbsorbed) {
            naive(context, query, latent, mixed);
        } else {
            absorbed(context, query, cache.rows(), mixed);
        }
        ops.linear(mixed, output, out);
        context.attentionAllReduce(out);
    }

    private void absorbed(ForwardContext context, Tensor query, Tensor cache, Tensor mixed) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        long perHead = (long) tokens * heads;
        Tensor inLatent = workspace.rows(buffers.absorbed(), tokens);
        Tensor full = workspace.rows(buffers.absorbedQuery(), tokens);
        Tensor queryHeads = query.reshape(perHead, nopeDim + ropeDim);
        Tensor fullHeads = full.reshape(perHead, latentDim + ropeDim);

        ops.headLinear(queryHeads.columnRange(0, nopeDim), keyIntoLatent, fullHeads.columnRange(0, latentDim));
        ops.copy(queryHeads.columnRange(nopeDim, ropeDim), fullHeads.columnRange(latentDim, ropeDim));
        ops.latentAttention(full, cache, context.inputs().batch(), heads, latentDim, ropeDim, scale, inLatent);
        ops.headLinear(inLatent.reshape(perHead, latentDim), latentIntoValue, mixed.reshape(perHead, valueDim));
    }

    private void naive(ForwardContext context, Tensor query, Tensor latent, Tensor mixed) {
        int tokens = context.tokens();
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        long perHead = (long) tokens * heads;
        int queryDim = nopeDim + ropeDim;
        Tensor expanded = workspace.rows(buffers.expanded(), tokens);
        Tensor keys = workspace.rows(buffers.keys(), tokens);
        Tensor values = workspace.rows(buffers.values(), tokens);

        ops.linear(latent.columnRange(0, latentDim), latentUp, expanded);
        Tensor expandedHeads = expanded.reshape(perHead, nopeDim + valueDim);
        ops.copy(
                expandedHeads.columnRange(0, nopeDim),
                keys.reshape(perHead, queryDim).columnRange(0, nopeDim));
        ops.copy(expandedHeads.columnRange(nopeDim, valueDim), values.reshape(perHead, valueDim));
        Tensor rotated = latent.columnRange(latentDim, ropeDim);
        for (int head = 0; head < heads; head++) {
            ops.copy(rotated, keys.columnRange((long) head * queryDim + nopeDim, ropeDim));
        }
        // Keys and values of a sequence lie at its own rows of the step: slot = position.
        int[] start = context.inputs().tokenStart();
        for (int b = 0; b + 1 < start.length; b++) {
            int first = start[b];
            int count = start[b + 1] - first;
            AttentionBatch own = workspace.ownTokens(count);
            ops.attention(
                    query.rowRange(first, count),
                    keys.rowRange(first, count),
                    values.rowRange(first, count),
                    own,
                    heads,
                    heads,
                    queryDim,
                    valueDim,
                    scale,
                    mixed.rowRange(first, count));
        }
    }
}
