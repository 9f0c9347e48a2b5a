package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.Rope;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * One rank's decoder: embedding, layers, final norm, output projection. Immutable but for nothing: activations live in
 * the workspaces that each call brings along.
 */
public final class Decoder {
    private final Embedding embedding;
    private final List<DecoderLayer> layers;
    /** F32 [hidden] */
    private final Tensor finalNorm;

    private final OutputHead head;
    private final float epsilon;
    private final WorkspacePlan stepBuffers;
    private final WorkspacePlan logitBuffers;

    /** F32 [T, hidden]: the residual stream. */
    private final BufferSpec residual;
    /** [T, hidden]: a block's normed input. */
    private final BufferSpec normed;
    /** [T, hidden]: a block's result, not yet added to the residual. */
    private final BufferSpec result;
    /** F32 [S, hidden]: rows whose logits are computed. */
    private final BufferSpec chosen;

    private final BufferSpec chosenResult;

    /** What the rank's caller may choose. */
    public record Options(int contextTokens, RopePrecision ropePrecision, boolean alwaysAbsorbed) {}

    /** Loads the rank's share of the weights. */
    public Decoder(ModelConfig config, Layout layout, WeightLoader weights, Options options) {
        ArchitectureSpec spec = Architectures.of(config);
        WeightNames names = spec.names();
        int hidden = config.hiddenSize();
        this.stepBuffers = new WorkspacePlan(weights.device().activationType());
        this.logitBuffers = new WorkspacePlan(weights.device().activationType());
        this.epsilon = (float) config.rmsNormEpsilon();
        this.residual = stepBuffers.floats("residual", hidden);
        this.normed = stepBuffers.activations("normed", hidden);
        this.result = stepBuffers.activations("result", hidden);
        this.chosen = stepBuffers.floats("chosen", hidden);
        this.chosenResult = stepBuffers.activations("chosenResult", hidden);

        Rope rope = options.ropePrecision().apply(Rope.of(config.rope()));
        Tensor table = WeightLoader.upload(
                weights.device(), rope.table(options.contextTokens()), options.contextTokens(), rope.rotaryDim());
        this.embedding = new Embedding(config, names, layout, weights);
        this.layers = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            layers.add(layer(config, spec, layout, weights, table, i, options));
        }
        this.finalNorm = weights.vector(names.finalNorm() + ".weight", hidden);
        this.head = new OutputHead(
                config, names, layout, weights, config.tiedEmbeddings() ? embedding : null, logitBuffers);
    }

    private DecoderLayer layer(
            ModelConfig config,
            ArchitectureSpec spec,
            Layout layout,
            WeightLoader weights,
            Tensor rope,
            int index,
            Options options) {
        WeightNames names = spec.names();
        String prefix = names.layer(index);
        String attention = prefix + names.attention();
        AttentionBlock attentionBlock = switch (spec.attention()) {
            case GROUPED -> new GroupedAttention(config, spec, layout, weights, attention, rope, stepBuffers);
            case LATENT ->
                new LatentAttention(config, layout, weights, attention, rope, stepBuffers, options.alwaysAbsorbed());
        };
        String mlp = prefix + names.mlp();
        MlpBlock mlpBlock = config.sparse(index)
                ? new MoeMlp(config, names, layout, weights, mlp, stepBuffers)
                : new DenseMlp(
                        "intermediate_size",
                        config.hiddenSize(),
                        config.intermediateSize(),
                        names.projections(),
                        layout.dense(),
                        weights,
                        mlp,
                        stepBuffers);
        return new DecoderLayer(
                weights.vector(prefix + names.attentionNorm() + ".weight", config.hiddenSize()),
                attentionBlock,
                weights.vector(prefix + names.mlpNorm() + ".weight", config.hiddenSize()),
                mlpBlock);
    }

    /** Buffers of a step, as many rows as the step has tokens. */
    public WorkspacePlan stepBuffers() {
        return stepBuffers;
    }

    /** Buffers of the output projection, as many rows as it computes at once. */
    public WorkspacePlan logitBuffers() {
        return logitBuffers;
    }

    /**
     * Runs all layers over the step's tokens and writes their cache rows. Behind the last layer's attention only the
     * wanted tokens are computed further.
     *
     * @param wanted I32 [S], ascending rows of the step whose logits are wanted
     * @return [S, hidden], their final normed states; valid until the next call
     */
    public Tensor forward(ForwardContext context, LayerHook hook, Tensor wanted) {
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        int tokens = context.tokens();
        Tensor stream = workspace.rows(residual, tokens);
        Tensor x = workspace.rows(normed, tokens);
        Tensor y = workspace.rows(result, tokens);
        embedding.forward(context, stream);
        for (int i = 0; i < layers.size(); i++) {
            DecoderLayer layer = layers.get(i);
            if (i == 0) {
                ops.rmsNorm(stream, layer.attentionNorm(), epsilon, x);
            } else {
                ops.addRmsNorm(stream, y, layer.attentionNorm(), epsilon, x);
            }
            layer.attention().forward(context, i, x, y);
            hook.cacheWritten(i);
            if (i == layers.size() - 1 && wanted.size(0) < tokens) {
                int rows = (int) wanted.size(0);
                stream = gather(ops, stream, wanted, workspace.rows(chosen, rows));
                y = gather(ops, y, wanted, workspace.rows(chosenResult, rows));
                x = workspace.rows(normed, rows);
            }
            if (x.size(0) > 0) {
                ops.addRmsNorm(stream, y, layer.mlpNorm(), epsilon, x);
                layer.mlp().forward(context, x, y);
            }
        }
        if (x.size(0) > 0) {
            ops.addRmsNorm(stream, y, finalNorm, epsilon, x);
        }
        return x;
    }

    private static Tensor gather(Ops ops, Tensor from, Tensor rows, Tensor to) {
        if (to.size(0) > 0) {
            ops.gatherRows(from, rows, to);
        }
        return to;
    }

    /**
     * Logits of some of the states that {@link #forward} returned.
     *
     * @param workspace of {@link #logitBuffers}
     * @param states [rows, hidden]
     * @return F32 [rows, vocabulary], valid until the next call
     */
    public Tensor logits(ForwardContext context, Workspace workspace, Tensor states) {
        return head.forward(context, workspace, states);
    }

    /** Where {@link #logits} leaves its result. */
    public BufferSpec logitsBuffer() {
        return head.logits();
    }
}
