package dev.baton.tensor.cpu;

import static dev.baton.tensor.cpu.Lanes.COUNT;
import static dev.baton.tensor.cpu.Native.ALL;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Causal attention over a paged cache with a running softmax (Milakov and Gimelshein 2018; Dao et al. 2022). An item
 * is one sequence, one key head, some of its query heads and some query tokens: their rows share every read of the
 * cache. An item goes through the context in blocks of {@link #POSITIONS} positions counted from 0, so a query's sums
 * run in the same order whatever the chunk, the batch or the threads: positions ascending, blocks ascending.
 */
final class VectorAttention implements CpuWorkers.Task {
    /** Positions of one block. */
    static final int POSITIONS = 64;
    /** Rows (query tokens times query heads) that an item has at most, when a single token's heads allow it. */
    private static final int ITEM_ROWS = 64;

    private Tensor q;
    private Tensor keys;
    private Tensor values;
    private AttentionBatch batch;
    private Tensor out;
    private int heads;
    private int kvHeads;
    private int headDim;
    private int valueDim;
    private float scale;
    /** Query heads of an item; divides nothing, the last item of a key head may have fewer. */
    private int itemHeads;

    private int itemTokens;

    VectorAttention(Tensor placeholder, AttentionBatch empty) {
        q = placeholder;
        keys = placeholder;
        values = placeholder;
        out = placeholder;
        batch = empty;
    }

    /** Sets the arguments; values may be keys (latent attention: the value is the beginning of the key). */
    void prepare(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            int valueDim,
            float scale,
            Tensor out,
            int threads) {
        this.q = q;
        this.keys = keys;
        this.values = values;
        this.batch = batch;
        this.out = out;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.valueDim = valueDim;
        this.scale = scale;
        int group = heads / kvHeads;
        itemHeads = Math.min(group, ITEM_ROWS);
        // Few items would leave threads idle: share a key head's query heads out among them.
        while (itemHeads > 1 && batch.sequences() * kvHeads * ceil(group, itemHeads) < threads) {
            itemHeads = ceil(itemHeads, 2);
        }
        itemTokens = Math.max(1, ITEM_ROWS / itemHeads);
    }

    private static int ceil(int a, int b) {
        return (a + b - 1) / b;
    }

    /** By address: a helper thread may not touch memory that is confined to the rank's thread. */
    private static int intAt(Tensor tensor, int index) {
        return Native.intAt(Native.address(tensor) + 4L * index);
    }

    /** Multiply-adds of the whole call, for the choice between one thread and several. */
    long work() {
        long pairs = 0;
        for (int b = 0; b < batch.sequences(); b++) {
            long tokens = intAt(batch.queryStart(), b + 1) - intAt(batch.queryStart(), b);
            pairs += tokens * intAt(batch.contextLengths(), b);
        }
        return pairs * heads * (headDim + valueDim);
    }

    @Override
    public void run(int part, int parts, Scratch scratch) {
        int group = heads / kvHeads;
        int headItems = ceil(group, itemHeads);
        int item = 0;
        for (int b = 0; b < batch.sequences(); b++) {
            int from = intAt(batch.queryStart(), b);
            int to = intAt(batch.queryStart(), b + 1);
            for (int t = from; t < to; t += itemTokens) {
                int tokens = Math.min(itemTokens, to - t);
                for (int i = 0; i < kvHeads * headItems; i++, item++) {
                    if (item % parts == part) {
                        int kvHead = i / headItems;
                        int firstHead = kvHead * group + i % headItems * itemHeads;
                        int count = Math.min(itemHeads, (kvHead + 1) * group - firstHead);
                        item(b, t, tokens, to, kvHead, firstHead, count, scratch);
                    }
                }
            }
        }
    }

    /** Query tokens [t, t + tokens) of sequence b, query heads [firstHead, firstHead + headCount). */
    private void item(
            int b, int t, int tokens, int sequenceEnd, int kvHead, int firstHead, int headCount, Scratch scratch) {
        int rows = tokens * headCount;
        int paddedRows = ceil(rows, ValueTiles.ROWS) * ValueTiles.ROWS;
        int keyWidth = MatrixProduct.roundUp(headDim);
        int valueWidth = MatrixProduct.roundUp(valueDim);
        boolean shared = values == keys;
        // Queries [paddedRows, keyWidth], results [paddedRows, valueWidth], per row: lane sums and the running maximum.
        long queries = scratch.y.ensure(4L * paddedRows * (keyWidth + valueWidth + COUNT + 1));
        long results = queries + 4L * paddedRows * keyWidth;
        long laneSums = results + 4L * paddedRows * valueWidth;
        long maxima = laneSums + 4L * paddedRows * COUNT;
        long scores = scratch.scores.ensure(4L * paddedRows * POSITIONS);
        // Keys [POSITIONS, keyWidth], or [keyWidth, POSITIONS] where they are no values, and values [POSITIONS,
        // valueWidth] of a block as floats; some rows of keys on their way to columns.
        long keyRows =
                scratch.cache.ensure(4L * POSITIONS * (keyWidth + (shared ? 0 : valueWidth)) + 4L * COUNT * keyWidth);
        long valueRows = shared ? keyRows : keyRows + 4L * POSITIONS * keyWidth;
        long someRows = valueRows + 4L * POSITIONS * (shared ? keyWidth : valueWidth);
        int valueStride = shared ? keyWidth : valueWidth;

        loadQueries(t, tokens, firstHead, headCount, keyWidth, queries);
        ALL.asSlice(results, 4L * paddedRows * (valueWidth + COUNT)).fill((byte) 0);
        for (int r = 0; r < paddedRows; r++) {
            Native.setFloat(maxima + 4L * r, Float.NEGATIVE_INFINITY);
        }
        int context = intAt(batch.contextLengths(), b);
        // Positions that token t sees; each later token sees one more.
        int firstVisible = context - (sequenceEnd - 1 - t);
        int lastVisible = firstVisible + tokens - 1;
        int tableRow = intAt(batch.rows(), b);
        for (int p = 0; p < lastVisible; p += POSITIONS) {
            int count = Math.min(POSITIONS, lastVisible - p);
            if (shared) {
                gather(keys, tableRow, p, count, kvHead, headDim, keyRows, keyWidth);
                int columns = ceil(count, MatrixProduct.TILE) * MatrixProduct.TILE;
                clear(keyRows + 4L * count * keyWidth, (columns - count) * keyWidth);
                scratch.product
                        .input(queries, 4L * keyWidth, rows)
                        .floats(keyRows, 4L * keyWidth, keyWidth)
                        .output(scores, 4L * POSITIONS)
                        .run(0, columns, scratch);
            } else {
                gatherColumns(tableRow, p, count, kvHead, someRows, keyWidth, keyRows);
                gather(values, tableRow, p, count, kvHead, valueDim, valueRows, valueWidth);
                int columns = MatrixProduct.roundUp(count);
                clear(scores, paddedRows * POSITIONS);
                ValueTiles.addProducts(
                        queries, 4L * keyWidth, paddedRows, keyRows, POSITIONS, headDim, scores, POSITIONS, columns);
            }
            for (int r = 0; r < paddedRows; r++) {
                int visible = r < rows ? Math.min(count, firstVisible + r / headCount - p) : 0;
                weigh(scores + 4L * r * POSITIONS, visible, count, r, valueWidth, results, laneSums, maxima);
            }
            ValueTiles.addProducts(
                    scores, 4L * POSITIONS, paddedRows, valueRows, valueStride, count, results, valueWidth, valueWidth);
        }
        storeResults(t, tokens, firstHead, headCount, results, valueWidth, laneSums, scratch);
    }

    private static void clear(long address, int floats) {
        if (floats > 0) {
            ALL.asSlice(address, 4L * floats).fill((byte) 0);
        }
    }

    private void loadQueries(int t, int tokens, int firstHead, int headCount, int keyWidth, long queries) {
        long row = queries;
        for (int i = 0; i < tokens; i++) {
            long source = Native.address(q) + (t + i) * Native.rowBytes(q) + 4L * firstHead * headDim;
            for (int h = 0; h < headCount; h++) {
                MatrixRows.toFloats(DType.F32, source + 4L * h * headDim, headDim, row, keyWidth);
                row += 4L * keyWidth;
            }
        }
    }

    /** One head of the cache rows of positions [p, p + count) as floats, zero-padded to {@code width}. */
    private void gather(Tensor cache, int tableRow, int p, int count, int kvHead, int dim, long to, int width) {
        Tensor table = batch.slotTable();
        long slots = Native.address(table) + tableRow * Native.rowBytes(table) + 4L * p;
        DType dtype = cache.dtype();
        long first = Native.address(cache) + (long) kvHead * dim * dtype.bytes();
        long stride = Native.rowBytes(cache);
        int rows = cache.rows();
        for (int j = 0; j < count; j++) {
            int slot = OpChecks.slot("attention", Native.intAt(slots + 4L * j), rows);
            MatrixRows.toFloats(dtype, first + slot * stride, dim, to + 4L * j * width, width);
        }
    }

    /**
     * One head of the keys of positions [p, p + count) as floats, a position a column: [keyWidth, POSITIONS]. Columns up
     * to a whole vector are written, those behind the last position with what is no longer of use.
     *
     * @param some room for [COUNT, keyWidth] floats
     */
    private void gatherColumns(int tableRow, int p, int count, int kvHead, long some, int keyWidth, long to) {
        for (int j = 0; j < count; j += COUNT) {
            gather(keys, tableRow, p + j, Math.min(COUNT, count - j), kvHead, headDim, some, keyWidth);
            Columns.fromRows(some, 4L * keyWidth, headDim, to + 4L * j, 4L * POSITIONS);
        }
    }

    /** Scores of one row to weights; scales what the row has so far to the new maximum. */
    private void weigh(
            long row, int visible, int count, int r, int valueWidth, long results, long laneSums, long maxima) {
        int width = MatrixProduct.roundUp(count);
        if (visible <= 0) {
            clear(row, width);
            return;
        }
        for (int j = visible; j < width; j++) {
            Native.setFloat(row + 4L * j, Float.NEGATIVE_INFINITY);
        }
        float before = Native.floatAt(maxima + 4L * r);
        // A negative scale would turn the order round, but scales are positive.
        float max = Math.max(before, RowKernels.max(row, width) * scale);
        float keep = 1;
        if (max != before) {
            keep = (float) Math.exp(before - max);
            Native.setFloat(maxima + 4L * r, max);
            RowKernels.scale(results + 4L * r * valueWidth, keep, valueWidth);
        }
        Exponential.weights(row, width, scale, max, laneSums + 4L * r * COUNT, keep);
    }

    private void storeResults(
            int t,
            int tokens,
            int firstHead,
            int headCount,
            long results,
            int valueWidth,
            long laneSums,
            Scratch scratch) {
        for (int i = 0; i < tokens; i++) {
            long target = Native.address(out) + (t + i) * Native.rowBytes(out) + 4L * firstHead * valueDim;
            for (int h = 0; h < headCount; h++) {
                int r = i * headCount + h;
                MemorySegment.copy(ALL, Native.FLOAT, laneSums + 4L * r * COUNT, scratch.lanes, 0, COUNT);
                float sum = Lanes.sumOne(scratch.lanes, 0);
                long result = results + 4L * r * valueWidth;
                RowKernels.scale(result, 1 / sum, valueDim);
                MemorySegment.copy(ALL, result, ALL, target + 4L * h * valueDim, 4L * valueDim);
            }
        }
    }
}
