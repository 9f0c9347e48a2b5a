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
    /** Weight rows converted at a time. */
    static final int TILE = 8;
    /** Rows of x up to which one weight tile takes all its k-blocks in a row, so that weights stream from memory. */
    private static final int FEW_ROWS = 32;
    /** Most rows of x in a block: 256 rows of one k-block are 1 MiB, half a second-level cache. */
    private static final int BLOCK_ROWS = 256;

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
    private long bias;
    private DType biasType = DType.F32;
    private long out;
    private long outStride;

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
        Tensor biases = weight.bias();
        if (biases != null) {
            this.bias = Native.address(biases);
            this.biasType = biases.dtype();
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
        this.bias = 0;
        return this;
    }

    /** A matrix of k floats a row at an address; no scales, no bias. */
    MatrixProduct floats(long address, long stride, int k) {
        this.k = k;
        this.dtype = DType.F32;
        this.wStride = stride;
        this.w = address;
        this.scales = 0;
        this.bias = 0;
        return this;
    }

    /** out: address and stride in bytes of rows of floats; element [t, n] of the product goes to row t, column n. */
    MatrixProduct output(long address, long stride) {
        this.out = address;
        this.outStride = stride;
        return this;
    }

    /** Computes the output features [from, to) of all rows. */
    void run(int from, int to, Scratch scratch) {
        if (rows == 0 || from >= to) {
            return;
        }
        int blocks = Math.max(1, (k + MAX_BLOCK - 1) / MAX_BLOCK);
        int block = roundUp((k + blocks - 1) / blocks);
        boolean direct =
                k % Lanes.COUNT == 0 && (dtype == DType.BF16 ? rows == 1 : dtype == DType.F32 && floatsAsTheyLie());
        if (rows <= FEW_ROWS) {
            long packed = pack(0, rows, scratch);
            long packedStride = packedStride(packed);
            for (int n = from; n < to; n += TILE) {
                loadBias(n, to, scratch);
                for (int k0 = 0; k0 < k; k0 += block) {
                    tile(packed, packedStride, 0, rows, n, to, k0, Math.min(block, k - k0), direct, scratch);
                }
            }
            return;
        }
        for (int row = 0; row < rows; row += BLOCK_ROWS) {
            int count = Math.min(BLOCK_ROWS, rows - row);
            long packed = pack(row, count, scratch);
            long packedStride = packedStride(packed);
            for (int k0 = 0; k0 < k; k0 += block) {
                for (int n = from; n < to; n += TILE) {
                    loadBias(n, to, scratch);
                    tile(packed, packedStride, row, count, n, to, k0, Math.min(block, k - k0), direct, scratch);
                }
            }
        }
    }

    /** Many rows want weights whose vectors do not straddle cache lines; for a few a copy costs more than it gives. */
    private boolean floatsAsTheyLie() {
        return rows < TILE || (w | wStride) % CpuDevice.ALIGNMENT_BYTES == 0;
    }

    static int roundUp(int elements) {
        return (elements + Lanes.COUNT - 1) / Lanes.COUNT * Lanes.COUNT;
    }

    /** Address of rows [row, row + count) of x, contiguous along k and zero-padded: x itself where it is so already. */
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

    private long packedStride(long packed) {
        return xRows == null && k % Lanes.COUNT == 0 ? xStride : 4L * roundUp(k);
    }

    private void loadBias(int n, int to, Scratch scratch) {
        for (int i = 0; i < TILE; i++) {
            scratch.bias[i] =
                    bias == 0 || n + i >= to ? 0 : Native.element(biasType, bias + (long) (n + i) * biasType.bytes());
        }
    }

    /** One k-block of 8 output features for a block of rows. */
    private void tile(
            long packed,
            long packedStride,
            int row,
            int count,
            int n,
            int to,
            int k0,
            int kCount,
            boolean direct,
            Scratch scratch) {
        int features = Math.min(TILE, to - n);
        long xBlock = packed + 4L * k0;
        if (direct && features == TILE) {
            if (dtype == DType.BF16) {
                Tiles.tile1x8Bf16(xBlock, w + n * wStride + 2L * k0, wStride, kCount, scratch.lanes);
                store(row, 1, n, features, TILE, 0, k0, kCount, scratch);
            } else {
                rows(
                        xBlock,
                        packedStride,
                        row,
                        count,
                        w + n * wStride + 4L * k0,
                        wStride,
                        n,
                        features,
                        k0,
                        kCount,
                        scratch);
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
            MatrixRows.toFloats(dtype, w + (n + i) * wStride + (long) k0 * dtype.bytes(), kCount, target, padded);
            if (scales != 0) {
                MatrixRows.scale(target, k0, kCount, scales + (n + i) / ScalarOps.SCALE_BLOCK * scalesStride);
            }
        }
        rows(xBlock, packedStride, row, count, floats, 4L * padded, n, features, k0, kCount, scratch);
    }

    /** All rows of a block against 8 weight rows that are floats. */
    private void rows(
            long xBlock,
            long packedStride,
            int row,
            int count,
            long floats,
            long floatsStride,
            int n,
            int features,
            int k0,
            int kCount,
            Scratch scratch) {
        int padded = roundUp(kCount);
        int t = 0;
        for (; t <= count - 4; t += 4) {
            long xTile = xBlock + t * packedStride;
            Tiles.tile4x4(xTile, packedStride, floats, floatsStride, padded, scratch.lanes);
            store(row + t, 4, n, Math.min(features, 4), 4, 0, k0, kCount, scratch);
            if (features > 4) {
                Tiles.tile4x4(xTile, packedStride, floats + 4 * floatsStride, floatsStride, padded, scratch.lanes);
                store(row + t, 4, n + 4, features - 4, 4, 4, k0, kCount, scratch);
            }
        }
        for (; t <= count - 2; t += 2) {
            Tiles.tile2x8(xBlock + t * packedStride, packedStride, floats, floatsStride, padded, scratch.lanes);
            store(row + t, 2, n, features, TILE, 0, k0, kCount, scratch);
        }
        if (t < count) {
            Tiles.tile1x8(xBlock + t * packedStride, floats, floatsStride, padded, scratch.lanes);
            store(row + t, 1, n, features, TILE, 0, k0, kCount, scratch);
        }
    }

    /** Adds up a tile's accumulators and puts the first {@code features} of each {@code width} into out. */
    private void store(
            int row, int count, int n, int features, int width, int biasFrom, int k0, int kCount, Scratch scratch) {
        float[] sums = scratch.sums;
        Lanes.sum(scratch.lanes, count * width, sums);
        boolean last = k0 + kCount == k;
        for (int i = 0; i < count; i++) {
            long target = out + (row + i) * outStride + 4L * n;
            for (int j = 0; j < features; j++) {
                float value = sums[i * width + j];
                if (k0 > 0) {
                    value = Native.floatAt(target + 4L * j) + value;
                }
                if (last) {
                    value += scratch.bias[biasFrom + j];
                }
                Native.setFloat(target + 4L * j, value);
            }
        }
    }
}
