package dev.baton.engine.arch;

import dev.baton.engine.arch.StepShape.Gathered;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;

/**
 * Brings an attention group's tokens to the ranks that a layer's MLP needs, and the results back. Between layers every
 * rank of a group holds the whole residual stream of its group's tokens.
 */
final class TokenExchange {
    /** Which tokens a block computes on one rank. */
    enum Scope {
        /** The group's: there is one group, or nothing is shared between groups. The ranks' results are summed. */
        GROUP,
        /** All groups': the block's weights are shared by all ranks, and their results are summed. */
        ALL,
        /** An equal part of the group's: the block gives whole results. */
        SLICE
    }

    private final Shard group;
    private final Shard attention;
    /** [total rows, hidden]: all groups' tokens, and what the block makes of them. */
    private final BufferSpec gathered;

    private final BufferSpec gatheredResult;
    /** [T, hidden], this rank's part of them. */
    private final BufferSpec part;

    TokenExchange(Layout layout, int hidden, WorkspacePlan workspace) {
        this.group = layout.group();
        this.attention = layout.attention();
        // Where nothing is exchanged, one column keeps the buffers' places.
        int shared = group.size() > 1 ? hidden : 1;
        int parts = group.size() > 1 || attention.size() > 1 ? hidden : 1;
        this.gathered = workspace.activations("exchange.in", shared);
        this.gatheredResult = workspace.activations("exchange.out", parts);
        this.part = workspace.activations("exchange.part", parts);
    }

    /** Where a block that is shared as {@code shard} says computes. */
    static Scope scope(Layout layout, Shard shard, boolean dispatched) {
        if (dispatched
                || shard.size() == 1
                        && layout.attention().size() * layout.group().size() > 1) {
            return Scope.SLICE;
        }
        return layout.group().size() > 1 ? Scope.ALL : Scope.GROUP;
    }

    /**
     * Runs a layer's MLP.
     *
     * @param rows how the groups' tokens lie side by side; this group's are x's rows
     * @param x [T, hidden]
     * @param out [T, hidden]
     */
    void run(ForwardContext context, MlpBlock mlp, Gathered rows, Tensor x, Tensor out) {
        switch (mlp.scope()) {
            case GROUP -> {
                if (x.size(0) > 0) {
                    mlp.forward(context, rows, x, out);
                    context.allReduce(out);
                }
            }
            case ALL -> {
                if (rows.total() > 0) {
                    Tensor all = gather(context, rows, x);
                    Tensor result = context.workspace().rows(gatheredResult, rows.total());
                    mlp.forward(context, rows, all, result);
                    scatter(context, rows, result, out);
                }
            }
            case SLICE -> slice(context, mlp, rows, x, out);
        }
    }

    /** All groups' rows, on every rank of all groups. */
    Tensor gather(ForwardContext context, Gathered rows, Tensor x) {
        Ops ops = context.ops();
        Communicator tensor = context.communicators().tensor().communicator();
        Tensor all = context.workspace().rows(gathered, rows.total());
        int own = x.rows();
        if (rows.padded() > 0) {
            int each = rows.padded() / attention.size();
            Tensor mine = context.workspace().rows(part, each);
            int from = Math.min(own, attention.rank() * each);
            int count = Math.min(each, own - from);
            copy(ops, x.rowRange(from, count), mine.rowRange(0, count));
            context.workspace().zero(mine.rowRange(count, each - count));
            tensor.allGather(mine, all);
            return all;
        }
        context.workspace().zero(all);
        if (attention.rank() == 0) {
            copy(ops, x, all.rowRange(rows.offsets()[group.rank()], own));
        }
        tensor.allReduce(all);
        return all;
    }

    /** Sums the ranks' results of all groups' rows; this group's part goes to {@code out}. */
    private void scatter(ForwardContext context, Gathered rows, Tensor result, Tensor out) {
        Ops ops = context.ops();
        Communicator tensor = context.communicators().tensor().communicator();
        int own = out.rows();
        if (rows.padded() > 0) {
            Tensor mine = context.workspace().rows(part, rows.padded() / attention.size());
            tensor.reduceScatter(result, mine);
            copy(ops, wholeGroup(context, mine).rowRange(0, own), out);
            return;
        }
        tensor.allReduce(result);
        copy(ops, result.rowRange(rows.offsets()[group.rank()], own), out);
    }

    /** Every rank's part of the group's rows, one after the other. */
    private Tensor wholeGroup(ForwardContext context, Tensor mine) {
        if (attention.size() == 1) {
            return mine;
        }
        Tensor whole = context.workspace().rows(gatheredResult, mine.rows() * attention.size());
        context.communicators().attention().communicator().allGather(mine, whole);
        return whole;
    }

    /**
     * This rank's equal part of the group's rows, and room for its results.
     *
     * @param each rows of a full part
     * @param x [count, hidden]
     * @param result [each, hidden], of which the first count are to be filled
     */
    record Slice(int each, Tensor x, Tensor result) {
        /** Where the part's results belong. */
        Tensor out() {
            return result.rowRange(0, x.rows());
        }
    }

    /** @param out where results go when the part is the whole */
    Slice part(ForwardContext context, Tensor x, Tensor out) {
        if (attention.size() == 1) {
            return new Slice(x.rows(), x, out);
        }
        int own = x.rows();
        int each = (own + attention.size() - 1) / attention.size();
        int from = Math.min(own, attention.rank() * each);
        int count = Math.min(each, own - from);
        return new Slice(each, x.rowRange(from, count), context.workspace().rows(part, each));
    }

    /** Every rank of the group gets the results of all parts. */
    void whole(ForwardContext context, Slice slice, Tensor out) {
        if (attention.size() > 1 && out.rows() > 0) {
            int count = slice.x().rows();
            context.workspace().zero(slice.result().rowRange(count, slice.each() - count));
            copy(context.ops(), wholeGroup(context, slice.result()).rowRange(0, out.rows()), out);
        }
    }

    private void slice(ForwardContext context, MlpBlock mlp, Gathered rows, Tensor x, Tensor out) {
        Slice mine = part(context, x, out);
        mlp.forward(context, rows, mine.x(), mine.out());
        whole(context, mine, out);
    }

    private static void copy(Ops ops, Tensor from, Tensor to) {
        if (from.size(0) > 0) {
            ops.copy(from, to);
        }
    }
}
