package dev.baton.cuda;

import dev.baton.cuda.driver.Launch;

/**
 * How the blocks of {@code decode.cu} share a step's contexts.
 *
 * @param warps of a block
 * @param depth units of 16 positions in the ring of a warp's kernel
 * @param stages those of them that it uses
 * @param splits blocks that share a context; up to {@link Launch#MOST_CLUSTER} they are a cluster where the GPU has those
 */
record DecodeBlocks(int warps, int depth, int stages, int splits) {
    /** As in decode.cu: query heads of a block. */
    static final int HEADS = 8;

    /** As in decode.cu: positions that a warp takes at once. */
    private static final int UNIT = 16;
    /** What a block takes besides the positions of its share, in positions: tables, first rows, joining. */
    private static final int START = 192;
    /** From such contexts on, more parts than a cluster has blocks pay, although they join through the device's memory. */
    private static final int LONG_CONTEXT = 4096;

    private static final int MOST_SPLITS = 64;
    /** Positions of a block at least: a unit for each of eight warps. */
    private static final int LEAST_SHARE = 8 * UNIT;
    /** Blocks that a multiprocessor has room for, at most. */
    private static final int MOST_PLACES = 3;

    /**
     * The splits that take least, and as many blocks a multiprocessor as let all rounds be full. Eight warps have its shared
     * memory for themselves; several smaller blocks take as long, and one's copies fill the time in which another begins and
     * ends.
     *
     * @param rows sequences times tiles of query heads: blocks when no context is shared
     * @param contextTokens the longest context, or more
     * @param mostSharedBytes of a block
     */
    static DecodeBlocks of(int rows, int contextTokens, int headDim, int multiprocessors, int mostSharedBytes) {
        int most = contextTokens > LONG_CONTEXT ? MOST_SPLITS : Launch.MOST_CLUSTER;
        int splits = 1;
        int places = 1;
        long least = Long.MAX_VALUE;
        for (int s = 1; s <= most && (s == 1 || s * LEAST_SHARE <= contextTokens); s *= 2) {
            for (int p = MOST_PLACES; p >= 1; p--) {
                long rounds = (rows * s + p * multiprocessors - 1) / (p * multiprocessors);
                long cost = rounds * p * (positions(contextTokens, s) + START);
                if (cost < least) {
                    least = cost;
                    splits = s;
                    places = p;
                }
            }
        }
        int warps = places == 1 ? 8 : 4;
        int depth = (places == MOST_PLACES ? 256 : 384) / headDim;
        DecodeBlocks blocks = with(warps, depth, splits, contextTokens);
        if (blocks.sharedBytes(headDim) > mostSharedBytes) {
            blocks = with(2, 384 / headDim, splits, contextTokens);
        }
        return blocks;
    }

    private static DecodeBlocks with(int warps, int depth, int splits, int contextTokens) {
        int units = (positions(contextTokens, splits) / UNIT + warps - 1) / warps;
        return new DecodeBlocks(warps, depth, Math.min(units, depth), splits);
    }

    /** Of a block at most; as in decode.cu. */
    private static int positions(int contextTokens, int splits) {
        int share = (Math.max(1, contextTokens) + splits - 1) / splits;
        return (share + UNIT - 1) / UNIT * UNIT;
    }

    String kernel(int headDim) {
        return "flash_decode_" + headDim + "_" + warps + "_" + depth;
    }

    /** The rings; the warps' maxima and sums; those of the cluster's blocks, their parts and a barrier. */
    int sharedBytes(int headDim) {
        return 4 * warps * stages * UNIT * headDim
                + 8 * HEADS * (warps + Launch.MOST_CLUSTER)
                + 4 * HEADS * headDim
                + 16;
    }
}
