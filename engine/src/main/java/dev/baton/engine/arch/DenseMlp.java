package dev.baton.engine.arch;

import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;

/** Gated MLP: {@code down(silu(gate x) * (up x))}; a rank holds intermediate/ranks columns. */
final class DenseMlp implements MlpBlock {
    /** [intermediate, hidden] */
    private final Weight gate;
    /** [intermediate, hidden] */
    private final Weight up;
    /** [hidden, intermediate] */
    private final Weight down;
    /** [T, intermediate] */
    private final BufferSpec gated;
    /** [T, intermediate] */
    private final BufferSpec raised;

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
        this.gate = weights.rows(prefix + names.gate(), intermediate, hidden, first, count, false);
        this.up = weights.rows(prefix + names.up(), intermediate, hidden, first, count, false);
        this.down = weights.columns(prefix + names.down(), hidden, intermediate, first, count, false);
        this.gated = workspace.activations("mlp.gate", count);
        this.raised = workspace.activations("mlp.up", count);
    }

    @Override
    public void forward(ForwardContext context, Tensor x, Tensor out) {
        partial(context, x, out);
        context.allReduce(out);
    }

    /** As {@link #forward}, this rank's part of the sum only. */
    void partial(ForwardContext context, Tensor x, Tensor out) {
        Ops ops = context.ops();
        Tensor g = context.workspace().rows(gated, x.rows());
        Tensor u = context.workspace().rows(raised, x.rows());
        ops.linear(x, gate, g);
        ops.linear(x, up, u);
        ops.siluMul(g, u, g);
        ops.linear(g, down, out);
    }
}
