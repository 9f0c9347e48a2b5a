package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import dev.baton.engine.overlap.LayerStages;
import dev.baton.engine.overlap.LayerStages.Operation;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.Rope;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One rank's decoder: embedding, layers, final norm, output projection; of a pipeline the stage's part of them. Immutable
 * but for nothing: activations live in the workspaces that each call brings along.
 */
public final class Decoder {
    private final Stage stage;
    /** Null on later stages. */
    private final @Nullable Embedding embedding;

    /** For steps of a few tokens; null where the model's blocks cannot be fused. */
    private final @Nullable FusedLayers fused;

    /** The stage's. */
    private final List<DecoderLayer> layers;
    /** Number of the first of them in the model. */
    private final int firstLayer;

    /** F32 [hidden]; null before the last stage. */
    private final @Nullable Tensor finalNorm;

    private final @Nullable OutputHead head;
    private final TokenExchange exchange;
    private final int attentionRanks;
    private final float epsilon;
    private final WorkspacePlan streamBuffers;
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

    /**
     * What the rank's caller may choose.
     *
     * @param placement of experts; of this rank alone
     */
    public record Options(
            int contextTokens,
            RopePrecision ropePrecision,
            boolean alwaysAbsorbed,
            ExpertPlacement placement,
            DispatchOptions dispatch) {}

    /** Loads the rank's share of the weights. */
    public Decoder(ModelConfig config, Layout layout, WeightLoader weights, Options options) {
        ArchitectureSpec spec = Architectures.of(config);
        WeightNames names = spec.names();
        int hidden = config.hiddenSize();
        this.stage = layout.stage();
        this.streamBuffers = new WorkspacePlan(weights.device().activationType());
        this.stepBuffers = new WorkspacePlan(weights.device().activationType());
        this.logitBuffers = new WorkspacePlan(weights.device().activationType());
        this.epsilon = (float) config.rmsNormEpsilon();
        this.residual = streamBuffers.floats("residual", hidden);
        this.normed = stepBuffers.activations("normed", hidden);
        this.result = streamBuffers.activations("result", hidden);
        this.chosen = stepBuffers.floats("chosen", hidden);
        this.chosenResult = stepBuffers.activations("chosenResult", hidden);

        Rope rope = options.ropePrecision().apply(Rope.of(config.rope()));
        Tensor table = WeightLoader.upload(
                weights.device(), rope.table(options.contextTokens()), options.contextTokens(), rope.rotaryDim());
        this.embedding = stage.isFirst() ? new Embedding(config, names, layout, weights) : null;
        this.exchange = new TokenExchange(layout, hidden, stepBuffers);
        this.attentionRanks = layout.attention().size();
        this.layers = new ArrayList<>();
        int count = stage.layers(config.layers());
        this.firstLayer = stage.firstLayer(config.layers());
        for (int i = 0; i < count; i++) {
            layers.add(layer(config, spec, layout, weights, table, firstLayer + i, options));
        }
        if (!stage.isLast()) {
            this.finalNorm = null;
            this.fused = null;
            this.head = null;
            return;
        }
        this.finalNorm = weights.vector(names.finalNorm() + ".weight", hidden);
        boolean wholeModel = stage.isFirst()
                && layout.dense().size() == 1
                && layout.attention().size() == 1;
        this.fused = FusedLayers.of(layers, finalNorm, epsilon, wholeModel, stepBuffers);
        Embedding tied = null;
        if (config.tiedEmbeddings()) {
            tied = embedding != null ? embedding : new Embedding(config, names, layout, weights);
        }
        this.head = new OutputHead(config, names, layout, weights, tied, logitBuffers);
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
                ? new MoeMlp(
                        config,
                        names,
                        layout,
                        options.placement(),
                        options.dispatch(),
                        index,
                        weights,
                        mlp,
                        stepBuffers)
                : new DenseMlp(
                        "intermediate_size",
                        config.hiddenSize(),
                        config.intermediateSize(),
                        names.projections(),
                        layout.dense(),
                        TokenExchange.scope(layout, layout.dense(), false),
                        weights,
                        mlp,
                        stepBuffers);
        return new DecoderLayer(
                weights.vector(prefix + names.attentionNorm() + ".weight", config.hiddenSize()),
                attentionBlock,
                weights.vector(prefix + names.mlpNorm() + ".weight", config.hiddenSize()),
                mlpBlock);
    }

    /** Buffers of the residual stream, as many rows as the step has tokens: what one stage hands to the next. */
    public WorkspacePlan streamBuffers() {
        return streamBuffers;
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
     * Runs the stage's layers over the step's tokens and writes their cache rows. Behind the last layer's attention only
     * the wanted tokens are computed further. A group without tokens takes part in what the groups do together.
     *
     * @param streams of {@link #streamBuffers}; on a later stage as the stage before has left it
     * @param hook told of each layer by its place in the stage's cache
     * @param wanted I32 [S], ascending rows of the step whose logits are wanted
     * @return [S, hidden], their final normed states; valid until the next call. Before the last stage nothing of use
     */
    public Tensor forward(ForwardContext context, Workspace streams, LayerHook hook, Tensor wanted) {
        return forward(context, streams, hook, wanted, null);
    }

    /**
     * The same, in two halves from the first MoE layer on: one half computes while the other's tokens travel to their
     * experts and back.
     *
     * @param halves null for a step in one piece, and on a stage without MoE layers
     */
    public Tensor forward(
            ForwardContext context, Workspace streams, LayerHook hook, Tensor wanted, @Nullable TwoHalves halves) {
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        int tokens = context.tokens();
        Tensor stream = streams.rows(residual, tokens);
        Tensor x = workspace.rows(normed, tokens);
        Tensor y = streams.rows(result, tokens);
        boolean active = tokens > 0;
        StepShape.Gathered rows = context.shape().ofTokens(attentionRanks);
        if (active && embedding != null) {
            embedding.forward(context, stream);
        }
        if (fused != null && active && wanted.size(0) == tokens && fused.serves(context)) {
            fused.forward(context, hook, stream, x, y);
            return y;
        }
        int whole = halves == null ? layers.size() : firstMoeLayer();
        for (int i = 0; i < whole; i++) {
            DecoderLayer layer = layers.get(i);
            if (active) {
                if (i == 0 && stage.isFirst()) {
                    ops.rmsNorm(stream, layer.attentionNorm(), epsilon, x);
                } else {
                    ops.addRmsNorm(stream, y, layer.attentionNorm(), epsilon, x);
                }
                layer.attention().forward(context, i, x, y);
                hook.cacheWritten(i);
            }
            if (stage.isLast() && i == layers.size() - 1) {
                rows = context.shape().ofWanted(attentionRanks);
                int count = (int) wanted.size(0);
                if (count < tokens) {
                    stream = gather(ops, stream, wanted, workspace.rows(chosen, count));
                    y = gather(ops, y, wanted, workspace.rows(chosenResult, count));
                    x = workspace.rows(normed, count);
                }
            }
            if (x.size(0) > 0) {
                ops.addRmsNorm(stream, y, layer.mlpNorm(), epsilon, x);
            }
            exchange.run(context, layer.mlp(), rows, x, y);
        }
        if (halves != null && whole < layers.size()) {
            int count = (int) wanted.size(0);
            Tensor chosenStream = workspace.rows(chosen, count);
            Tensor chosenY = workspace.rows(chosenResult, count);
            inHalves(halves, whole, hook, stream, y, chosenStream, chosenY);
            if (stage.isLast()) {
                stream = chosenStream;
                y = chosenY;
                x = workspace.rows(normed, count);
            }
        }
        if (finalNorm != null && x.size(0) > 0) {
            ops.addRmsNorm(stream, y, finalNorm, epsilon, x);
        }
        return x;
    }

    /** The first layer from which on a step can be computed in halves; the number of layers when there is none. */
    private int firstMoeLayer() {
        for (int i = 0; i < layers.size(); i++) {
            if (layers.get(i).mlp() instanceof MoeMlp) {
                return i;
            }
        }
        return layers.size();
    }

    /** @throws EngineException CONFIGURATION when the layers cannot be computed in halves */
    public void requireHalves() {
        for (int i = firstMoeLayer(); i < layers.size(); i++) {
            if (layers.get(i).mlp().scope() == TokenExchange.Scope.ALL) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "--enable-two-batch-overlap: layer " + (firstLayer + i)
                                + " is dense, stands behind MoE layers and is shared by"
                                + " all attention groups; make it whole by --moe-dense-tp-size 1");
            }
        }
    }

    private void inHalves(
            TwoHalves halves, int from, LayerHook hook, Tensor stream, Tensor y, Tensor chosenStream, Tensor chosenY) {
        int tokens = halves.first().tokens();
        int wanted = (int) halves.firstWanted().size(0);
        HalfBatch first = new HalfBatch(
                halves.first(),
                false,
                halves.firstWanted(),
                stream.rowRange(0, tokens),
                y.rowRange(0, tokens),
                halves.first().workspace().rows(normed, tokens),
                chosenStream.rowRange(0, wanted),
                chosenY.rowRange(0, wanted));
        int rest = halves.second().tokens();
        int restWanted = (int) halves.secondWanted().size(0);
        HalfBatch second = new HalfBatch(
                halves.second(),
                true,
                halves.secondWanted(),
                stream.rowRange(tokens, rest),
                y.rowRange(tokens, rest),
                halves.second().workspace().rows(normed, rest),
                chosenStream.rowRange(wanted, restWanted),
                chosenY.rowRange(wanted, restWanted));
        List<LayerStages<HalfBatch>> all = new ArrayList<>();
        boolean prefills = halves.first().shape().prefills();
        for (int i = from; i < layers.size(); i++) {
            all.add(stages(i, hook, prefills));
        }
        LayerStages.run(all, first, second);
    }

    /** SGLang's stages of a prefill and of a decode step. */
    private LayerStages<HalfBatch> stages(int index, LayerHook hook, boolean prefills) {
        DecoderLayer layer = layers.get(index);
        Operation<HalfBatch> attention =
                half -> half.attention(layer, index, index == 0 && stage.isFirst(), epsilon, hook);
        Operation<HalfBatch> norm = half -> {
            if (stage.isLast() && index == layers.size() - 1) {
                half.keepWanted(normed);
            }
            half.normBeforeMlp(layer, epsilon);
        };
        if (!(layer.mlp() instanceof MoeMlp moe)) {
            return new LayerStages<>(
                    List.of(List.of(attention, norm, half -> half.dense(exchange, layer.mlp()))), prefills ? 0 : 2);
        }
        Operation<HalfBatch> dispatch = half -> half.dispatch(exchange, moe);
        Operation<HalfBatch> experts = half -> half.computeExperts(moe);
        Operation<HalfBatch> shared = half -> half.computeShared(moe);
        Operation<HalfBatch> combine = half -> half.combine(exchange);
        return prefills
                ? new LayerStages<>(
                        List.of(List.of(attention, norm, dispatch), List.of(experts), List.of(shared, combine)), 0)
                : new LayerStages<>(
                        List.of(
                                List.of(attention, norm),
                                List.of(dispatch, shared),
                                List.of(experts),
                                List.of(combine)),
                        2);
    }

    static Tensor gather(Ops ops, Tensor from, Tensor rows, Tensor to) {
        if (to.size(0) > 0) {
            ops.gatherRows(from, rows, to);
        }
        return to;
    }

    /**
     * Logits of some of the states that {@link #forward} returned.
     *
     * @param workspace of {@link #logitBuffers}
     * @param states [S, hidden]
     * @param from rows of {@code states} that come first
     * @param most rows to take
     * @return F32 [rows, vocabulary], valid until the next call
     */
    public Tensor logits(ForwardContext context, Workspace workspace, Tensor states, int from, int most) {
        int count = Math.clamp((long) states.rows() - from, 0, most);
        Tensor mine = states.rowRange(count == 0 ? 0 : from, count);
        return head().crossesGroups()
                ? head().ofAllGroups(
                                context,
                                exchange,
                                workspace,
                                context.shape().ofWanted(attentionRanks, from, most),
                                mine)
                : head().forward(context, workspace, mine);
    }

    /** How often all ranks call {@link #logits} in a step, {@code most} rows at a time. */
    public int logitRounds(StepShape shape, int ownRows, int most) {
        int rows = head().crossesGroups() ? Arrays.stream(shape.wanted()).max().orElse(0) : ownRows;
        return (rows + most - 1) / most;
    }

    /** This rank's experts, one entry a MoE layer. */
    public List<LocalExperts> experts() {
        List<LocalExperts> all = new ArrayList<>();
        for (DecoderLayer layer : layers) {
            if (layer.mlp() instanceof MoeMlp moe) {
                all.add(moe.experts());
            }
        }
        return all;
    }

    /** Where {@link #logits} leaves its result. */
    public BufferSpec logitsBuffer() {
        return head().logits();
    }

    private OutputHead head() {
        return Objects.requireNonNull(head, "the last stage has the output projection");
    }
}
