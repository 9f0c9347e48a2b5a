package dev.baton.engine.arch;

import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.MoeConfig;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Mixture of experts (DeepSeek-V3 technical report, section 2.1.2): {@code scale * sum of the chosen experts + shared}.
 * A rank holds some of the experts, or a slice of the intermediate columns of all, or both; the gate is whole on every
 * rank, so that all ranks choose the same experts.
 */
final class MoeMlp implements MlpBlock {
    private static final StepShape.Gathered NO_PADDING = new StepShape.Gathered(new int[0], new int[0], 0, 0);

    /** [experts, hidden] */
    private final Weight router;

    private final GateSpec gate;
    private final LocalExperts experts;
    private final ExpertPlacement placement;
    private final TokenExchange.Scope scope;
    private final @Nullable DenseMlp shared;
    /** Null where tokens do not travel. */
    private final @Nullable Dispatcher dispatcher;

    /** F32 [T, experts] */
    private final BufferSpec logits;
    /** I32 [T, topK] */
    private final BufferSpec chosen;
    /** F32 [T, topK] */
    private final BufferSpec weightOfChosen;
    /** [T, hidden] */
    private final BufferSpec sharedOut;

    MoeMlp(
            ModelConfig config,
            WeightNames names,
            Layout layout,
            ExpertPlacement placement,
            DispatchOptions dispatch,
            int layer,
            WeightLoader weights,
            String prefix,
            WorkspacePlan workspace) {
        MoeConfig moe = Objects.requireNonNull(config.moe());
        int hidden = config.hiddenSize();
        this.router = weights.unquantized().linear(prefix + names.router(), moe.experts(), hidden, false);
        this.gate = gateSpec(
                moe,
                moe.correctionBias() && !placement.isFake()
                        ? weights.vector(prefix + names.correctionBias(), moe.experts())
                        : null);
        ExpertShard shard = layout.experts();
        this.placement = placement;
        this.scope = TokenExchange.scope(layout, layout.shared(), shard.dispatched());
        this.experts = new LocalExperts(
                layer,
                shard,
                experts(
                        moe,
                        hidden,
                        names,
                        shard,
                        slot -> placement.expertOf(layer, slot),
                        placement.slots(moe.experts()),
                        weights,
                        prefix));
        this.shared = moe.sharedExperts() == 0
                ? null
                : new DenseMlp(
                        "n_shared_experts * moe_intermediate_size",
                        hidden,
                        moe.sharedIntermediateSize(),
                        names.projections(),
                        layout.shared(),
                        scope,
                        weights,
                        prefix + names.sharedExperts(),
                        workspace);
        this.dispatcher = !shard.dispatched()
                ? null
                : new RowDispatcher(
                        shard.allToAll(),
                        dispatch,
                        hidden,
                        moe.topK(),
                        shard.experts().size(),
                        experts.weights().count(),
                        workspace);
        this.logits = workspace.floats("moe.logits", moe.experts());
        this.chosen = workspace.reserve("moe.ids", DType.I32, moe.topK());
        this.weightOfChosen = workspace.floats("moe.weights", moe.topK());
        this.sharedOut = workspace.activations("moe.shared", hidden);
    }

    private static ExpertWeights experts(
            MoeConfig moe,
            int hidden,
            WeightNames names,
            ExpertShard shard,
            IntUnaryOperator expertOf,
            int slots,
            WeightLoader weights,
            String prefix) {
        int intermediate = moe.intermediateSize();
        WeightNames.Projections projections = names.expertProjections();
        int first = shard.columns().first("moe_intermediate_size", intermediate);
        int columns = shard.columns().length("moe_intermediate_size", intermediate);
        int firstSlot = shard.experts().first("slots of experts", slots);
        int count = shard.experts().length("slots of experts", slots);
        List<Weight> gates = new ArrayList<>();
        List<Weight> ups = new ArrayList<>();
        List<Weight> downs = new ArrayList<>();
        for (int slot = firstSlot; slot < firstSlot + count; slot++) {
            String expert = prefix + names.expert(expertOf.applyAsInt(slot));
            gates.add(weights.rows(expert + projections.gate(), intermediate, hidden, first, columns, false));
            ups.add(weights.rows(expert + projections.up(), intermediate, hidden, first, columns, false));
            downs.add(weights.columns(expert + projections.down(), hidden, intermediate, first, columns, false));
        }
        return new ExpertWeights(firstSlot, gates, ups, downs);
    }

    private static GateSpec gateSpec(MoeConfig moe, @Nullable Tensor correctionBias) {
        GateSpec.Scoring scoring = switch (moe.scoring()) {
            case SIGMOID -> GateSpec.Scoring.SIGMOID;
            case SOFTMAX -> GateSpec.Scoring.SOFTMAX;
        };
        GateSpec.GroupScore groupScore = switch (moe.groupScore()) {
            case TOP_TWO_SUM -> GateSpec.GroupScore.TOP_TWO_SUM;
            case MAX -> GateSpec.GroupScore.MAX;
        };
        return new GateSpec(
                scoring,
                correctionBias,
                moe.groups(),
                moe.keptGroups(),
                groupScore,
                moe.topK(),
                moe.normalizeTopK(),
                (float) moe.routedScale());
    }

    /** This rank's experts. */
    LocalExperts experts() {
        return experts;
    }

    @Override
    public TokenExchange.Scope scope() {
        return scope;
    }

    @Override
    public void forward(ForwardContext context, StepShape.Gathered rows, Tensor x, Tensor out) {
        Selection selection = select(context, rows, x);
        if (dispatcher != null) {
            travel(context, dispatcher, selection, x, out);
        } else if (x.size(0) > 0) {
            context.ops().experts(x, selection.ids(), selection.weights(), experts.weights(), out);
            add(context, out, ofShared(context, x));
        }
    }

    /**
     * Which slots compute which tokens.
     *
     * @param ids I32 [T, topK]
     * @param weights F32 [T, topK]
     */
    private record Selection(Tensor ids, Tensor weights) {}

    private Selection select(ForwardContext context, StepShape.Gathered rows, Tensor x) {
        int tokens = x.rows();
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        Selection selection = new Selection(workspace.rows(chosen, tokens), workspace.rows(weightOfChosen, tokens));
        if (tokens > 0) {
            Tensor scores = workspace.rows(logits, tokens);
            ops.linear(x, router, scores);
            if (placement.isFake()) {
                placement.fake(experts.layer(), scores);
            }
            ops.gate(scores, gate, selection.ids(), selection.weights());
            if (scope == TokenExchange.Scope.ALL && rows.padded() > 0) {
                dropPadding(workspace, rows, selection.ids());
            }
            placement.place(experts.layer(), selection.ids());
        }
        return selection;
    }

    /** Tokens go to their experts' ranks; shared experts are computed while results come back. */
    private void travel(ForwardContext context, Dispatcher by, Selection selection, Tensor x, Tensor out) {
        Dispatcher.Flight flight = by.dispatchA(context, x, selection.ids(), selection.weights());
        compute(context, flight);
        Tensor common = ofShared(context, x);
        flight.combineB(out);
        add(context, out, common);
    }

    /** Chooses experts and sends the tokens to them. */
    Dispatcher.Flight dispatch(ForwardContext context, Tensor x) {
        Selection selection = select(context, NO_PADDING, x);
        return Objects.requireNonNull(dispatcher).dispatchA(context, x, selection.ids(), selection.weights());
    }

    /** Computes what has arrived and sends the results back. */
    void compute(ForwardContext context, Dispatcher.Flight flight) {
        Dispatcher.Received here = flight.dispatchB();
        if (here.x().size(0) > 0) {
            context.ops().experts(here.x(), here.ids(), here.weights(), experts.weights(), here.results());
        }
        flight.combineA(here.results());
    }

    static void add(ForwardContext context, Tensor out, @Nullable Tensor more) {
        if (more != null) {
            context.ops().add(out, more);
        }
    }

    /** What the shared experts make of these rows; null when there is nothing. */
    @Nullable
    Tensor ofShared(ForwardContext context, Tensor x) {
        if (shared == null || x.size(0) == 0) {
            return null;
        }
        Tensor common = context.workspace().rows(sharedOut, x.rows());
        shared.compute(context, x, common);
        return common;
    }

    /** Rows without content choose no expert. */
    private static void dropPadding(Workspace workspace, StepShape.Gathered rows, Tensor ids) {
        for (int g = 0; g < rows.counts().length; g++) {
            int count = rows.counts()[g];
            workspace.fillMinusOne(ids.rowRange(rows.offsets()[g] + count, rows.padded() - count));
        }
    }
}
