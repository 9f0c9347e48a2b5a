package dev.baton.engine.arch;

import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.List;
import java.util.Objects;

/** Gated MLP: {@code down(silu(gate x) * (up x))}; a rank holds intermediate/ranks columns. */
final class DenseMlp implements MlpBlock {
    /** Gate and up, [intermediate, hidden] each. */
    private final LinearGroup gateAndUp;
    /** [hidden, intermediate] */
    private final Weight down;

    private final TokenExchange.Scope scope;

    /**
     * @param what names the intermediate size in errors
     * @param scope which tokens a rank computes
     */
    DenseMlp(
            String what,
            int hidden,
            int intermediate,
            WeightNames.Projections names,
            Shard shard,
            TokenExchange.Scope scope,
            WeightLoader weights,
            String prefix,
            WorkspacePlan workspace) {
        this.scope = scope;
        int first = shard.first(what, intermediate);
        int count = shard.length(what, intermediate);
        Weight gate = weights.rows(prefix + names.gate(), intermediate, hidden, first, count, false);
        Weight up = weights.rows(prefix + names.up(), intermediate, hidden, first, count, false);
        this.down = weights.columns(prefix + names.down(), hidden, intermediate, first, count, false);
        this.gateAndUp = LinearGroup.of(weights.device(), List.of(gate, up), false, workspace, "mlp.gate", "mlp.up");
    }

    @Override
    public TokenExchange.Scope scope() {
        return scope;
    }

    @Override
    public void forward(ForwardContext context, StepShape.Gathered rows, Tensor x, Tensor out) {
        if (x.size(0) > 0) {
            compute(context, x, out);
        }
    }

    /** As {@link #forward}, for at least one row. */
    void compute(ForwardContext context, Tensor x, Tensor out) {
        Ops ops = context.ops();
        Weight merged = gateAndUp.merged();
        if (merged != null) {
            Tensor both = gateAndUp.mergedResult(context.workspace(), x.rows());
            ops.gatedLinear(x, merged, both);
            ops.linear(both.columnRange(0, down.inFeatures()), down, out);
            return;
        }
        Tensor[] projected = gateAndUp.forward(ops, context.workspace(), x);
        Tensor g = projected[0];
        ops.siluMul(g, projected[1], g);
        ops.linear(g, down, out);
    }

    /** Whether {@link #fused} can stand for {@link #forward}. */
    boolean isFusable() {
        return gateAndUp.merged() != null && down.inFeatures() % 8 == 0;
    }

    /** As {@link #forward} on a single rank, from and to the residual stream with fused operators. */
    void fused(ForwardContext context, NormedRows rows, Tensor nextNorm) {
        Ops ops = context.ops();
        Tensor projected = gateAndUp.mergedResult(context.workspace(), context.tokens());
        ops.linearGated(rows, Objects.requireNonNull(gateAndUp.merged()), projected);
        ops.linearAdd(projected.columnRange(0, down.inFeatures()), down, rows, nextNorm);
    }
}
