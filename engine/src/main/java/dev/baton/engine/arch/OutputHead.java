package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Output projection to the vocabulary; a rank computes its range and all ranks gather the whole. Runs in slices of a few
 * rows, because a row of logits is as wide as the vocabulary.
 */
final class OutputHead {
    private final int vocabulary;
    private final int shardRows;
    private final Shard shard;
    private final Shard group;
    /** All groups compute their logits together. */
    private final boolean crossesGroups;
    /** [rows of this rank, hidden] */
    private final Weight projection;
    /** F32 [rows, vocabulary] */
    private final BufferSpec logits;
    /** F32 [rows, shardRows]; the last rank's tail is unused. Null on a single rank. */
    private final @Nullable BufferSpec part;
    /** F32 [ranks * rows, shardRows] */
    private final @Nullable BufferSpec gathered;

    /** @param tied the embedding, null when the projection has weights of its own */
    OutputHead(
            ModelConfig config,
            WeightNames names,
            Layout layout,
            WeightLoader weights,
            @Nullable Embedding tied,
            WorkspacePlan workspace) {
        this.vocabulary = config.vocabSize();
        this.shard = layout.vocabulary();
        this.group = layout.group();
        this.crossesGroups =
                group.size() > 1 && shard.size() > layout.attention().size();
        this.shardRows = shard.vocabularyShardRows(vocabulary);
        int first = shard.firstVocabularyRow(vocabulary);
        int rows = shard.vocabularyRows(vocabulary);
        this.projection = tied != null
                ? Weight.of(tied.rows(first, rows))
                : weights.unquantized().rows(names.output(), vocabulary, config.hiddenSize(), first, rows, false);
        this.logits = workspace.floats("logits", vocabulary);
        int ranks = shard.size();
        this.part = ranks == 1 ? null : workspace.floats("logits.part", shardRows);
        this.gathered = ranks == 1 ? null : workspace.floats("logits.gathered", ranks * shardRows);
    }

    /** F32 [rows, vocabulary], where {@link #forward} leaves its result. */
    BufferSpec logits() {
        return logits;
    }

    /** Whether every group's ranks are needed for one group's logits. */
    boolean crossesGroups() {
        return crossesGroups;
    }

    /**
     * Logits of this group's rows, computed together with the other groups' in one pass over the weights.
     *
     * @param rows how many each group brings
     * @param x this group's normed hidden states [S, hidden]
     * @return F32 [S, vocabulary], valid until the next call
     */
    Tensor ofAllGroups(
            ForwardContext context, TokenExchange exchange, Workspace workspace, StepShape.Gathered rows, Tensor x) {
        Tensor all = forward(context, workspace, exchange.gather(context, rows, x));
        return all.rowRange(rows.offsets()[group.rank()], x.rows());
    }

    /**
     * @param workspace of the logits, as many rows as a slice has
     * @param x normed hidden states, F32 [S, hidden]
     * @return F32 [S, vocabulary], valid until the next call
     */
    Tensor forward(ForwardContext context, Workspace workspace, Tensor x) {
        int rows = x.rows();
        Ops ops = context.ops();
        Tensor out = workspace.rows(logits, rows);
        if (part == null || gathered == null) {
            ops.linear(x, projection, out);
            return out;
        }
        Tensor mine = workspace.rows(part, rows);
        int ranks = shard.size();
        Tensor all = workspace.rows(gathered, rows).reshape((long) ranks * rows, shardRows);
        ops.linear(x, projection, mine.columnRange(0, projection.outFeatures()));
        (crossesGroups || group.size() == 1
                        ? context.communicators().tensor()
                        : context.communicators().attention())
                .communicator()
                .allGather(mine, all);
        for (int rank = 0; rank < ranks; rank++) {
            int count = shard.vocabularyRowsOf(rank, vocabulary);
            ops.copy(
                    all.rowRange((long) rank * rows, rows).columnRange(0, count),
                    out.columnRange((long) rank * shardRows, count));
        }
        return out;
    }
}
