package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Launch;
import dev.baton.cuda.driver.TensorMap;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Gate and up projection with silu x mul in it for more tokens than {@link SkinnyProduct} takes, on warp groups: a tile a
 * block for decode steps (wide.cu), many tiles a block for prompts (tiles.cu).
 */
final class GatedProduct {
    /** As in wide.cuh: k of a stage. */
    static final int DEPTH = 64;
    /** Pairs of gate and up that tiles.cu keeps together. */
    private static final int SPREAD = 32;
    /** Token tiles that are gone through together. */
    private static final int GROUP = 16;
    /** Less of the last round's blocks than this idle, or a product and silu x mul behind it are as fast. */
    private static final double LEAST_USE = 0.93;

    /** The variants: all tokens of a decode step in one tile, or many tiles. */
    enum Tile {
        UP_TO_64(64, 168, 1, 7),
        UP_TO_128(128, 168, 2, 6),
        UP_TO_256(256, 168, 2, 4),
        UP_TO_64_OF_MORE_ROWS(64, 224, 1, 6),
        UP_TO_128_OF_MORE_ROWS(128, 224, 2, 5),
        MANY(128, 256, 2, 4);

        private final int tokens;
        private final int rows;
        private final int groups;
        private final int stages;

        /**
         * @param tokens of a tile
         * @param rows of w, gate and up together
         * @param groups warp groups that multiply
         * @param stages of the ring
         */
        Tile(int tokens, int rows, int groups, int stages) {
            this.tokens = tokens;
            this.rows = rows;
            this.groups = groups;
            this.stages = stages;
        }

        int tokens() {
            return tokens;
        }

        int pairs() {
            return rows / 2;
        }

        int threads() {
            return 128 * groups + 128;
        }

        int sharedBytes() {
            return stages * (tokens + rows) * 2 * DEPTH;
        }

        int count(int allTokens, int allPairs) {
            return (allTokens + tokens - 1) / tokens * ((allPairs + pairs() - 1) / pairs());
        }
    }

    private final GpuInfo gpu;
    private final Launch launch;
    private final Kernels kernels;
    private final Operands operands;
    private final TensorMaps maps;

    GatedProduct(GpuInfo gpu, Launch launch, Kernels kernels, Operands operands, TensorMaps maps) {
        this.gpu = gpu;
        this.launch = launch;
        this.kernels = kernels;
        this.operands = operands;
        this.maps = maps;
    }

    /**
     * The tile for so many tokens and pairs of gate and up; null where a product and silu x mul behind it are as fast. A
     * decode step's tiles are one round of blocks in which most multiprocessors have one.
     */
    static @Nullable Tile tile(int multiprocessors, int tokens, int pairs) {
        for (Tile tile : Tile.values()) {
            int count = tile.count(tokens, pairs);
            boolean fits = tile == Tile.MANY ? tokens > Tile.UP_TO_256.tokens : tokens <= tile.tokens;
            if (tile == Tile.MANY || count <= multiprocessors) {
                int rounds = (count + multiprocessors - 1) / multiprocessors;
                if (fits && count >= LEAST_USE * rounds * multiprocessors) {
                    return tile;
                }
            }
        }
        return null;
    }

    /** out = silu(gate) * up; false where plain operators have to do it. x [T, k], weight [2 * inner, k], out [T, >= inner]. */
    boolean multiply(Tensor x, Weight weight, Tensor out) {
        if (x.rows() <= SkinnyProduct.MOST_TOKENS) {
            return false;
        }
        Tile tile = tile(gpu.multiprocessors(), x.rows(), weight.outFeatures() / 2);
        return tile != null && multiply(tile, x, weight, out);
    }

    /** The same by this variant, which takes so many tokens. */
    boolean multiply(Tile tile, Tensor x, Weight weight, Tensor out) {
        int inner = weight.outFeatures() / 2;
        if (!gpu.hasWarpGroupProducts()
                || weight.bias() != null
                || inner % (tile == Tile.MANY ? SPREAD : 8) != 0
                || !SkinnyProduct.isWide(x)
                || !SkinnyProduct.isWide(out)) {
            return false;
        }
        Tensor matrix = operands.matrix(weight, DType.BF16);
        if (!SkinnyProduct.isWide(matrix)) {
            return false;
        }
        launch.put(maps.rows(x, tile.tokens)).put(maps.of(matrix, tile, key -> encode(key, tile)));
        if (tile == Tile.MANY) {
            launch.put(x.columns())
                    .put(x.rows())
                    .put(tile.count(x.rows(), 1))
                    .put(tile.count(1, inner))
                    .put(GROUP)
                    .put(0);
        } else {
            launch.put(x.columns()).put(x.rows());
        }
        launch.put(out.memory().address()).put(out.rowStride()).put(inner).put(0);
        String kernel = tile == Tile.MANY ? "gated_tiles" : "gated_" + tile.tokens + "_" + tile.rows;
        launch.run(
                kernels.get(tile == Tile.MANY ? Source.TILES : Source.WIDE, kernel, tile.threads()),
                tile == Tile.MANY
                        ? Math.min(tile.count(x.rows(), inner), gpu.multiprocessors())
                        : tile.count(x.rows(), inner),
                1,
                1,
                tile.sharedBytes());
        return true;
    }

    /** Rows of gate and up take turns; for many tiles, 32 pairs lie in the order 0, 8, 16, 24, 1, 9, ... */
    private static TensorMap encode(TensorMaps.Key key, Tile tile) {
        long row = key.rowBytes();
        int inner = key.rows() / 2;
        if (tile == Tile.MANY) {
            return TensorMap.of(
                    key.address(),
                    new long[] {key.columns(), 2, 4, 8, inner / SPREAD},
                    new long[] {inner * row, 8 * row, row, SPREAD * row},
                    new int[] {TensorMap.ROW, 2, 4, 8, tile.pairs() / SPREAD});
        }
        return TensorMap.of(
                key.address(), new long[] {key.columns(), 2, inner}, new long[] {inner * row, row}, new int[] {
                    TensorMap.ROW, 2, tile.pairs()
                });
    }
}
