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
import org.jspecify.annotations.Nullable;

/**
 * Mixture of experts (DeepSeek-V3 technical report, section 2.1.2): {@code scale * sum of the chosen experts + shared}.
 * A rank holds some of the experts, or a slice of the intermediate columns of all, or both; the gate is whole on every
 * rank, so that all ranks choose the same experts.
 */
final class MoeMlp implements MlpBlock {
    /** [experts, hidden] */
    private final Weight router;

    private final GateSpec gate;
    private final ExpertWeights experts;
    private final @Nullable DenseMlp shared;

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
            WeightLoader weights,
            String prefix,
            WorkspacePlan workspace) {
        MoeConfig moe = Objects.requireNonNull(config.moe());
        int hidden = config.hiddenSize();
        this.router = weights.unquantized().linear(prefix + names.router(), moe.experts(), hidden, false);
        this.gate = gateSpec(
                moe, moe.correctionBias() ? weights.vector(prefix + names.correctionBias(), moe.experts()) : null);
        this.experts = experts(moe, hidden, names, layout.experts(), weights, prefix);
        this.shared = moe.sharedExperts() == 0
                ? null
                : new DenseMlp(
                        "n_shared_experts * moe_intermediate_size",
                        hidden,
                        moe.sharedIntermediateSize(),
                        names.projections(),
                        layout.shared(),
                        weights,
                        prefix + names.sharedExperts(),
                        workspace);
        this.logits = workspace.floats("moe.logits", moe.experts());
        this.chosen = workspace.reserve("moe.ids", DType.I32, moe.topK());
        this.weightOfChosen = workspace.floats("moe.weights", moe.topK());
        this.sharedOut = workspace.activations("moe.shared", hidden);
    }

    private static ExpertWeights experts(
            MoeConfig moe, int hidden, WeightNames names, ExpertShard shard, WeightLoader weights, String prefix) {
        int intermediate = moe.intermediateSize();
        WeightNames.Projections projections = names.expertProjections();
        int first = shard.columns().first("moe_intermediate_size", intermediate);
        int count = shard.columns().length("moe_intermediate_size", intermediate);
        int firstExpert = shard.experts().first("experts", moe.experts());
        int experts = shard.experts().length("experts", moe.experts());
        List<Weight> gates = new ArrayList<>();
        List<Weight> ups = new ArrayList<>();
        List<Weight> downs = new ArrayList<>();
        for (int e = firstExpert; e < firstExpert + experts; e++) {
            String expert = prefix + names.expert(e);
            gates.add(weights.rows(expert + projections.gate(), intermediate, hidden, first, count, false));
            ups.add(weights.rows(expert + projections.up(), intermediate, hidden, first, count, false));
            downs.add(weights.columns(expert + projections.down(), hidden, intermediate, first, count, false));
        }
        return new ExpertWeights(firstExpert, gates, ups, downs);
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

    @Override
    public void forward(ForwardContext context, Tensor x, Tensor out) {
        int tokens = x.rows();
        Ops ops = context.ops();
        Workspace workspace = context.workspace();
        Tensor scores = workspace.rows(logits, tokens);
        Tensor ids = workspace.rows(chosen, tokens);
        Tensor weights = workspace.rows(weightOfChosen, tokens);
        ops.linear(x, router, scores);
        ops.gate(scores, gate, ids, weights);
        ops.experts(x, ids, weights, experts, out);
        if (shared != null) {
            Tensor common = workspace.rows(sharedOut, tokens);
            shared.partial(context, x, common);
            ops.add(out, common);
        }
        context.allReduce(out);
    }
}
