package dev.baton.engine.arch;

import dev.baton.model.config.ModelConfig;
import dev.baton.tensor.Tensor;

/** Token embedding; a rank holds a range of the vocabulary and the ranks' results are summed. */
final class Embedding {
    /** [rows of this rank, hidden] */
    private final Tensor table;

    private final int firstId;

    Embedding(ModelConfig config, WeightNames names, Layout layout, WeightLoader weights) {
        int vocabulary = config.vocabSize();
        this.firstId = layout.vocabulary().rank() * layout.vocabularyShardRows(vocabulary);
        this.table = weights.table(
                names.embedding() + ".weight",
                vocabulary,
                config.hiddenSize(),
                firstId,
                layout.vocabularyRows(vocabulary));
    }

    /** The rows that this rank holds, for an output projection that is tied to them. */
    Tensor table() {
        return table;
    }

    /** @param out F32 [T, hidden] */
    void forward(ForwardContext context, Tensor out) {
        context.ops().embed(context.inputs().ids(), table, firstId, out);
        context.allReduce(out);
    }
}
