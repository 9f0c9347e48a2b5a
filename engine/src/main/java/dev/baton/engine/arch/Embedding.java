package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Tensor;

/** Token embedding; a rank holds a range of the vocabulary and the ranks' results are summed. */
final class Embedding {
    /** [rows of this rank, hidden] */
    private final Tensor table;

    private final int firstId;
    private final boolean sharded;

    Embedding(ModelConfig config, WeightNames names, Layout layout, WeightLoader weights) {
        int vocabulary = config.vocabSize();
        Shard shard = layout.embedding();
        this.sharded = shard.size() > 1;
        this.firstId = shard.firstVocabularyRow(vocabulary);
        this.table = weights.table(
                names.embedding() + ".weight",
                vocabulary,
                config.hiddenSize(),
                firstId,
                shard.vocabularyRows(vocabulary));
    }

    /** Rows {@code [from, from + count)} of the vocabulary, for an output projection that is tied to them. */
    Tensor rows(int from, int count) {
        return table.rowRange(from - firstId, count);
    }

    /** @param out F32 [T, hidden] */
    void forward(ForwardContext context, Tensor out) {
        context.ops().embed(context.inputs().ids(), table, firstId, out);
        if (sharded) {
            context.allReduce(out);
        }
    }
}
