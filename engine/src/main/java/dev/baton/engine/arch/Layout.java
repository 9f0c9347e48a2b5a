package dev.baton.engine.arch;

import dev.baton.engine.EngineException;

/**
 * How one rank's share of a model is cut: arithmetic only. Each kind of block has a shard of its own, so that layouts
 * that cut attention, MLP, experts and vocabulary differently stay a property of this record.
 *
 * @param group which attention group the rank belongs to: a group has requests and KV cache of its own
 * @param attention query heads and key/value heads within the group; the latter are replicated where there are fewer than
 *     ranks
 * @param dense intermediate columns of dense MLPs
 * @param shared intermediate columns of shared experts
 * @param experts routed experts
 * @param embedding rows of the embedding; the last shards may be shorter
 * @param vocabulary rows of the output projection; the last shards may be shorter
 * @param stage part of the layers
 */
public record Layout(
        Shard group,
        Shard attention,
        Shard dense,
        Shard shared,
        ExpertShard experts,
        Shard embedding,
        Shard vocabulary,
        Stage stage) {
    /** One rank that holds everything. */
    public static final Layout SINGLE = tensorParallel(0, 1);

    /** Plain tensor parallelism: each rank holds a slice of all experts, so that ranks stay equally busy. */
    public static Layout tensorParallel(int rank, int size) {
        Shard shard = new Shard(rank, size);
        return new Layout(
                Shard.WHOLE,
                shard,
                shard,
                shard,
                new ExpertShard(Shard.WHOLE, shard, AllToAll.NONE),
                shard,
                shard,
                Stage.WHOLE);
    }

    /** The same layout with another part of the layers. */
    public Layout withStage(Stage other) {
        return new Layout(group, attention, dense, shared, experts, embedding, vocabulary, other);
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

    /**
     * Query heads of this rank. Ranks that share a key/value head divide its query heads as evenly as they go, so counts
     * may differ by one.
     */
    public int localHeads(int heads, int kvHeads) {
        return headsBefore(attention.rank() + 1, heads, kvHeads) - headsBefore(attention.rank(), heads, kvHeads);
    }

    /** First query head of this rank. */
    public int firstHead(int heads, int kvHeads) {
        return headsBefore(attention.rank(), heads, kvHeads);
    }

    /** Query heads of all ranks before {@code rank}. */
    private int headsBefore(int rank, int heads, int kvHeads) {
        requireKvHeads(kvHeads);
        int group = heads / kvHeads;
        int sharers = Math.max(1, attention.size() / kvHeads);
        if (group < sharers) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "num_attention_heads = " + heads + " cannot be split over " + attention.size()
                            + " tensor-parallel ranks: each needs one; choose a --tp-size of at most " + heads);
        }
        if (sharers == 1) {
            return rank * (heads / attention.size());
        }
        int inGroup = rank % sharers;
        return rank / sharers * group + inGroup * (group / sharers) + Math.min(inGroup, group % sharers);
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
}
