package dev.baton.engine.arch;

import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.List;

/** Gated MLP: {@code down(silu(gate x) * (up x))}; a rank holds intermediate/ranks columns. */
final class DenseMlp implements MlpBlock {
    /** Gate and up, [intermediate, hidden] each. */
    private final LinearGroup gateAndUp;
    /** [hidden, intermediate] */
    private final Weight down;

    /** @param what names the intermediate size in errors */
    DenseMlp(
            String what,
            int hidden,
            int intermediate,
            WeightNames.Projections names,
            Shard shard,
            WeightLoader weights,
            String prefix,
            WorkspacePlan workspace) {
        int first = shard.first(what, intermediate);
        int count = shard.length(what, intermediate);
        Weight gate = weights.rows(prefix + names.gate(), intermediate, hidden, first, count, false);
        Weight up = weights.rows(prefix + names.up(), intermediate, hidden, first, count, false);
        this.down = weights.columns(prefix + names.down(), hidden, intermediate, first, count, false);
        this.gateAndUp = LinearGroup.of(weights.device(), List.of(gate, up), false, workspace, "mlp.gate", "mlp.up");
    }

    @Override
    public void forward(ForwardContext context, Tensor x, Tensor out) {
        partial(context, x, out);
        context.allReduce(out);
    }

    /** As {@link #forward}, this rank's part of the sum only. */
    void partial(ForwardContext context, Tensor x, Tensor out) {
        Ops ops = context.ops();
        Tensor[] projected = gateAndUp.forward(ops, context.workspace(), x);
        Tensor g = projected[0];
        ops.siluMul(g, projected[1], g);
        ops.linear(g, down, out);
    }
}
