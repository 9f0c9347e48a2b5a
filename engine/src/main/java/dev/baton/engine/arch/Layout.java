package dev.baton.engine.arch;

import dev.baton.engine.EngineException;

/**
 * How one rank's share of a model is cut: arithmetic only. Each kind of block has a shard of its own, so that layouts
 * that cut attention, MLP, experts and vocabulary differently stay a property of this record.
 *
 * @param attention query heads (and key/value heads, replicated where there are fewer than ranks)
 * @param dense intermediate columns of dense and shared-expert MLPs
 * @param experts intermediate columns of every routed expert: under plain tensor parallelism each rank holds a slice of
 *     all experts, so that ranks stay equally busy whatever the traffic
 * @param vocabulary rows of the embedding and of the output projection; the last shards may be shorter
 */
public record Layout(Shard attention, Shard dense, Shard experts, Shard vocabulary) {
    /** One rank that holds everything. */
    public static final Layout SINGLE = tensorParallel(0, 1);

    /** Plain tensor parallelism. */
    public static Layout tensorParallel(int rank, int size) {
        Shard shard = new Shard(rank, size);
        return new Layout(shard, shard, shard, shard);
    }

    /** Key/value heads of one rank, at least 1. */
    public int localKvHeads(int kvHeads) {
        requireKvHeads(kvHeads);
        return Math.max(1, kvHeads / attention.size());
    }

    /** First key/value head of this rank; ranks share a head when there are more ranks than heads. */
    public int firstKvHead(int kvHeads) {
        requireKvHeads(kvHeads);
        return (int) ((long) attention.rank() * kvHeads / attention.size());
    }

    private void requireKvHeads(int kvHeads) {
        int size = attention.size();
        if (kvHeads % size != 0 && size % kvHeads != 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "num_key_value_heads = " + kvHeads + " and " + size + " tensor-parallel ranks fit neither way: "
                            + kvHeads + " mod " + size + " = " + kvHeads % size + ", " + size + " mod " + kvHeads
                            + " = " + size % kvHeads + "; one must divide the other");
        }
    }

    /** Vocabulary rows of a full shard: the vocabulary rounded up over the ranks. */
    public int vocabularyShardRows(int vocabularySize) {
        return (vocabularySize + vocabulary.size() - 1) / vocabulary.size();
    }

    /** Vocabulary rows that this rank really holds. */
    public int vocabularyRows(int vocabularySize) {
        return vocabularyRowsOf(vocabulary.rank(), vocabularySize);
    }

    /** Vocabulary rows that {@code rank} really holds. */
    public int vocabularyRowsOf(int rank, int vocabularySize) {
        int full = vocabularyShardRows(vocabularySize);
        int rows = Math.min(full, vocabularySize - rank * full);
        if (rows <= 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "vocab_size = " + vocabularySize + " leaves nothing for rank " + rank + " of "
                            + vocabulary.size() + ": shards of " + full + " rows end after "
                            + (vocabularySize + full - 1) / full + " ranks");
        }
        return rows;
    }
}
