package dev.baton.tensor;

/**
 * Which tokens attend to which cache slots in one step. Sequence b owns the query rows
 * {@code [queryStart[b], queryStart[b+1])}; its last query token stands at position {@code contextLength[b] - 1}, so
 * query row {@code queryStart[b] + i} stands at {@code contextLength[b] - count + i} and attends to every position up
 * to its own. The slot of position p of sequence b is {@code slotTable[rows[b]][p]}.
 *
 * @param sequences B
 * @param queryStart I32 [B + 1]
 * @param contextLengths I32 [B], cached tokens and new ones
 * @param rows I32 [B], row of the slot table
 * @param slotTable I32 [rows, maxContext]
 * @param maxQueryTokens most new tokens of one sequence
 * @param maxContextTokens longest context
 */
public record AttentionBatch(
        int sequences,
        Tensor queryStart,
        Tensor contextLengths,
        Tensor rows,
        Tensor slotTable,
        int maxQueryTokens,
        int maxContextTokens) {}
