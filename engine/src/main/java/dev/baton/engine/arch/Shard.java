package dev.baton.engine.arch;

import dev.baton.engine.EngineException;

/**
 * One rank's part of a dimension that {@code size} ranks share in equal parts.
 *
 * @param rank 0 to size - 1
 * @param size ranks that share
 */
public record Shard(int rank, int size) {
    /** The whole dimension. */
    public static final Shard WHOLE = new Shard(0, 1);

    public Shard {
        if (size < 1 || rank < 0 || rank >= size) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION, "rank " + rank + " of " + size + " ranks does not exist");
        }
    }

    /**
     * Elements of this rank.
     *
     * @param what names the dimension in errors
     * @throws EngineException CONFIGURATION when the dimension does not divide
     */
    public int length(String what, int total) {
        if (total % size != 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    what + " = " + total + " cannot be split over " + size + " tensor-parallel ranks: " + total + " = "
                            + total / size + " * " + size + " + " + total % size
                            + "; choose a --tp-size that divides " + total);
        }
        return total / size;
    }

    /** First element of this rank. */
    public int first(String what, int total) {
        return rank * length(what, total);
    }

    /** Vocabulary rows of a full shard: the vocabulary rounded up over the ranks. */
    public int vocabularyShardRows(int vocabularySize) {
        return (vocabularySize + size - 1) / size;
    }

    /** First vocabulary row of this rank. */
    public int firstVocabularyRow(int vocabularySize) {
        return rank * vocabularyShardRows(vocabularySize);
    }

    /** Vocabulary rows that this rank really holds. */
    public int vocabularyRows(int vocabularySize) {
        return vocabularyRowsOf(rank, vocabularySize);
    }

    /** Vocabulary rows that {@code otherRank} really holds. */
    public int vocabularyRowsOf(int otherRank, int vocabularySize) {
        int full = vocabularyShardRows(vocabularySize);
        int rows = Math.min(full, vocabularySize - otherRank * full);
        if (rows <= 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "vocab_size = " + vocabularySize + " leaves nothing for rank " + otherRank + " of " + size
                            + ": shards of " + full + " rows end after " + (vocabularySize + full - 1) / full
                            + " ranks");
        }
        return rows;
    }
}
