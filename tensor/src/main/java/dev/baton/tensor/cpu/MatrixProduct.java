package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * out = x W^T + b for a range of output features: the blocking around {@link Tiles}. An instance carries the arguments
 * of one product; it is reused, and several threads may compute disjoint ranges of it at once.
 *
 * <p>Sum order: k is cut into equal blocks of at most {@link #MAX_BLOCK} elements, each block is one accumulator as in
 * {@link Lanes}, the blocks are added in ascending order, the bias last. Blocks depend on k alone, so an element's bits
 * depend neither on the number of rows nor on the threads.
 */
final class MatrixProduct {
    /** Longest k-block: 8 weight rows (32 KiB) and a few rows of x stay in a first-level cache. */
    static final int MAX_BLOCK = 1024;
    /** Output features of a tile. */
    static final int TILE = 8;
    /** Rows of x from which weights are packed into panels of floats, instead of read where they lie in every tile. */
    private static final int PANEL_ROWS = 12;
    /** Most rows of x in a block: 256 rows of one k-block are 1 MiB, half a second-level cache. */
    private static final int BLOCK_ROWS = 256;
    /** Bytes of weights that each of the 8 streams of a spread tile reads before it starts anew elsewhere. */
    private static final long STREAM_BYTES = 64 << 10;

    private static final int MAX_SPREAD = 64;

    private long x;
    private long xStride;
    /** Rows of x to take, or null for 0, 1, 2, ... */
    private int @Nullable [] xRows;

    private int xRowsFrom;
    private int rows;
    private int k;
    private DType dtype = DType.F32;
    private long w;
    private long wStride;
    private long scales;
    private long scalesStride;
    private final ProductResult result = new ProductResult();

    /** x: address and stride in bytes of rows of floats. */
    MatrixProduct input(long address, long stride, int rows) {
        this.x = address;
        this.xStride = stride;
        this.rows = rows;
        this.xRows = null;
        return this;
    }

    /** x: the rows {@code indexes[from], indexes[from + 1], ...} of a matrix. */
    MatrixProduct input(long address, long stride, int[] indexes, int from, int rows) {
        this.x = address;
        this.xStride = stride;
        this.rows = rows;
        this.xRows = indexes;
        this.xRowsFrom = from;
        return this;
    }

    MatrixProduct weight(Weight weight) {
        matrix(weight.matrix(), 0);
        Tensor blockScales = weight.blockScales();
        if (blockScales != null) {
            this.scales = Native.address(blockScales);
            this.scalesStride = Native.rowBytes(blockScales);
        }
        Tensor bias = weight.bias();
        if (bias != null) {
            result.bias(bias);
        }
        return this;
    }

    /** A matrix [out, in] that begins {@code firstRow} rows into a tensor; no scales, no bias. */
    MatrixProduct matrix(Tensor matrix, long firstRow) {
        this.k = matrix.columns();
        this.dtype = matrix.dtype();
        this.wStride = Native.rowBytes(matrix);
        this.w = Native.address(matrix) + firstRow * wStride;
        this.scales = 0;
        result.noBias(k);
        return this;
    }

    /** A matrix of k floats a row at an address; no scales, no bias. */
    MatrixProduct floats(long address, long stride, int k) {
        this.k = k;
        this.dtype = DType.F32;
        this.wStride = stride;
        this.w = address;
        this.scales = 0;
        result.noBias(k);
        return this;
    }

    /** out: address and stride in bytes of rows of floats; element [t, n] of the product goes to row t, column n. */
    MatrixProduct output(long address, long stride) {
        result.output(address, stride);
        return this;
    }

    /** Computes the output features [from, to) of all rows. */
    void run(int from, int to, Scratch scratch) {
        if (rows == 0 || from >= to) {
            return;
        }
        int blocks = Math.max(1, (k + MAX_BLOCK - 1) / MAX_BLOCK);
        int block = roundUp((k + blocks - 1) / blocks);
        if (rows < PANEL_ROWS) {
            runFew(from, to, block, scratch);
        } else if (rows <= BLOCK_ROWS) {
            long packed = pack(0, rows, scratch);
            long stride = packedStride();
            for (int n = from; n < to; n += TILE) {
                for (int k0 = 0; k0 < k; k0 += block) {
                    panel(packed + 4L * k0, stride, 0, rows, n, to, k0, Math.min(block, k - k0), scratch);
                }
            }
        } else {
            for (int row = 0; row < rows; row += BLOCK_ROWS) {
                int count = Math.min(BLOCK_ROWS, rows - row);
                for (int k0 = 0; k0 < k; k0 += block) {
                    int kCount = Math.min(block, k - k0);
                    long packed = packBlock(row, count, k0, kCount, scratch);
                    for (int n = from; n < to; n += TILE) {
                        panel(packed, 4L * roundUp(kCount), row, count, n, to, k0, kCount, scratch);
                    }
                }
            }
        }
    }

    /**
     * One k-block of up to 8 features for a block of rows. The weights are packed once, as floats.
     *
     * @param xBlock the rows' elements from k0 on, zeros behind the last of k
     */
    private void panel(
            long xBlock, long xBytes, int row, int count, int n, int to, int k0, int kCount, Scratch scratch) {
        int features = Math.min(TILE, to - n);
        int padded = roundUp(kCount);
        long floats = scratch.w.ensure(WeightPanel.bytes(MAX_BLOCK));
        long source = w + n * wStride + (long) k0 * dtype.bytes();
        if (scales == 0) {
            WeightPanel.pack(dtype, source, wStride, features, kCount, floats);
        } else {
            WeightPanel.packScaled(dtype, source, wStride, n, features, k0, kCount, scales, scalesStride, floats);
        }
        result.loadBias(n, 1, features, scratch);
        int t = 0;
        for (; t <= count - 3; t += 3) {
            PanelTiles.tile3x8(xBlock + t * xBytes, xBytes, floats, padded, scratch.lanes);
            result.store(row + t, 3, n, 1, features, k0, kCount, scratch);
        }
        if (t == count - 2) {
            PanelTiles.tile2x8(xBlock + t * xBytes, xBytes, floats, padded, scratch.lanes);
            result.store(row + t, 2, n, 1, features, k0, kCount, scratch);
        } else if (t < count) {
            PanelTiles.tile1x8(xBlock + t * xBytes, floats, padded, scratch.lanes);
            result.store(row + t, 1, n, 1, features, k0, kCount, scratch);
        }
    }

    /**
     * Few rows: reading the weights is the work. The 8 features of a tile lie {@code spread} rows apart, and the next
     * tile takes the row after each, so that memory is read as 8 long streams: nearly twice as fast as 8 adjacent rows
     * of 2 KiB, whose prefetching starts anew with every tile.
     */
    private void runFew(int from, int to, int block, Scratch scratch) {
        boolean direct = k % Lanes.COUNT == 0 && (dtype == DType.F32 || dtype == DType.BF16);
        long packed = pack(0, rows, scratch);
        int longest = Math.clamp(STREAM_BYTES / wStride, 1, MAX_SPREAD);
        int n = from;
        while (n < to) {
            int spread = Math.clamp((to - n) / TILE, 1, longest);
            int features = Math.min(TILE, to - n);
            for (int i = 0; i < spread; i++) {
                result.loadBias(n + i, spread, features, scratch);
                for (int k0 = 0; k0 < k; k0 += block) {
                    tile(packed, 0, rows, n + i, spread, features, k0, Math.min(block, k - k0), direct, scratch);
                }
            }
            n += features * spread;
        }
    }

    static int roundUp(int elements) {
        return (elements + Lanes.COUNT - 1) / Lanes.COUNT * Lanes.COUNT;
    }

    /**
     * Address of rows [row, row + count) of x, contiguous along k and zero-padded: x itself where it is so already.
     */
    private long pack(int row, int count, Scratch scratch) {
        int[] indexes = xRows;
        if (indexes == null && k % Lanes.COUNT == 0) {
            return x + row * xStride;
        }
        int padded = roundUp(k);
        long packed = scratch.x.ensure(4L * padded * count);
        for (int i = 0; i < count; i++) {
            long source = indexes == null ? row + i : indexes[xRowsFrom + row + i];
            MatrixRows.toFloats(DType.F32, x + source * xStride, k, packed + 4L * padded * i, padded);
        }
        return packed;
    }

    /**
     * A k-block of rows [row, row + count) of x, contiguous and zero-padded: many rows a power of two apart would fall
     * into the same few sets of a cache.
     */
    private long packBlock(int row, int count, int k0, int kCount, Scratch scratch) {
        int padded = roundUp(kCount);
        long packed = scratch.x.ensure(4L * padded * count);
        int[] indexes = xRows;
        for (int i = 0; i < count; i++) {
            long source = indexes == null ? row + i : indexes[xRowsFrom + row + i];
            MatrixRows.toFloats(DType.F32, x + source * xStride + 4L * k0, kCount, packed + 4L * padded * i, padded);
        }
        return packed;
    }

    /** Bytes from row to row of what {@link #pack} returns. */
    private long packedStride() {
        return xRows == null && k % Lanes.COUNT == 0 ? xStride : 4L * roundUp(k);
    }

    /** One k-block of the features n, n + spread, n + 2 * spread, ... for a block of rows. */
    private void tile(
            long packed,
            int row,
            int count,
            int n,
            int spread,
            int features,
            int k0,
            int kCount,
            boolean direct,
            Scratch scratch) {
        long xBlock = packed + 4L * k0;
        long wBlock = w + n * wStride + (long) k0 * dtype.bytes();
        if (direct && features == TILE) {
            if (dtype == DType.BF16) {
                rowsBf16(xBlock, row, count, wBlock, n, spread, k0, kCount, scratch);
            } else {
                rows(xBlock, row, count, wBlock, spread * wStride, n, spread, features, k0, kCount, scratch);
            }
            return;
        }
        int padded = roundUp(kCount);
        long floats = scratch.w.ensure(4L * TILE * roundUp(MAX_BLOCK));
        for (int i = 0; i < TILE; i++) {
            long target = floats + 4L * padded * i;
            if (i >= features) {
                MatrixRows.toFloats(dtype, w, 0, target, padded);
                continue;
            }
            long source = wBlock + (long) i * spread * wStride;
            if (scales != 0) {
                int scaleRow = (n + i * spread) / ScalarOps.SCALE_BLOCK;
                MatrixRows.scaledToFloats(source, k0, kCount, target, padded, scales + scaleRow * scalesStride);
            } else {
                MatrixRows.toFloats(dtype, source, kCount, target, padded);
            }
        }
        rows(xBlock, row, count, floats, 4L * padded, n, spread, features, k0, kCount, scratch);
    }

    /** All rows of a block against 8 weight rows that are floats. */
    private void rows(
            long xBlock,
            int row,
            int count,
            long floats,
            long floatsStride,
            int n,
            int spread,
            int features,
            int k0,
            int kCount,
            Scratch scratch) {
        int padded = roundUp(kCount);
        long packedStride = packedStride();
        int t = 0;
        for (; t <= count - 2; t += 2) {
            Tiles.tile2x8(xBlock + t * packedStride, packedStride, floats, floatsStride, padded, scratch.lanes);
            result.store(row + t, 2, n, spread, features, k0, kCount, scratch);
        }
        if (t < count) {
            Tiles.tile1x8(xBlock + t * packedStride, floats, floatsStride, padded, scratch.lanes);
            result.store(row + t, 1, n, spread, features, k0, kCount, scratch);
        }
    }

    /** All rows of a block against 8 bf16 weight rows where they lie. */
    private void rowsBf16(
            long xBlock, int row, int count, long wBlock, int n, int spread, int k0, int kCount, Scratch scratch) {
        long stride = spread * wStride;
        long packedStride = packedStride();
        float[] lanes = scratch.lanes;
        int t = 0;
        for (; t <= count - 4; t += 4) {
            long xTile = xBlock + t * packedStride;
            Tiles.tile4x4Bf16(xTile, packedStride, wBlock, stride, kCount, lanes);
            Lanes.sum(lanes, 16, scratch.sums);
            result.place(row + t, 4, n, spread, 0, 4, 4, k0, kCount, scratch);
            Tiles.tile4x4Bf16(xTile, packedStride, wBlock + 4 * stride, stride, kCount, lanes);
            Lanes.sum(lanes, 16, scratch.sums);
            result.place(row + t, 4, n, spread, 4, 4, 4, k0, kCount, scratch);
        }
        for (; t <= count - 2; t += 2) {
            Tiles.tile2x8Bf16(xBlock + t * packedStride, packedStride, wBlock, stride, kCount, lanes);
            result.store(row + t, 2, n, spread, TILE, k0, kCount, scratch);
        }
        if (t < count) {
            Tiles.tile1x8Bf16(xBlock + t * packedStride, wBlock, stride, kCount, lanes);
            result.store(row + t, 1, n, spread, TILE, k0, kCount, scratch);
        }
    }
}
