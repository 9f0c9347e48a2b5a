package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Launch;
import dev.baton.tensor.Tensor;

/**
 * Products of every expert's rows with its matrices by tensor cores. Few rows an expert go through tiles that read the
 * weights at the memory's speed (skinny.cu), many through tiles that keep the tensor cores busy (grouped.cu).
 */
final class ExpertProduct {
    /** From so many rows an expert on, on average, tiles of 128 rows are worth what they compute in vain. */
    private static final int MANY_ROWS = 64;

    private static final int FEW_ROWS = 4;
    /** As in grouped.cu: rows of a tile, rows of the matrices in it, dynamic shared memory and threads. */
    private static final int GROUPED_ROWS = 128;

    private static final int GROUPED_COLUMNS = 128;
    private static final int GROUPED_BYTES = 3 * (GROUPED_ROWS + GROUPED_COLUMNS) * 128;

    private final GpuInfo gpu;
    private final Launch launch;
    private final Kernels kernels;

    ExpertProduct(GpuInfo gpu, Launch launch, Kernels kernels) {
        this.gpu = gpu;
        this.launch = launch;
        this.kernels = kernels;
    }

    /**
     * Pairs of token and choice by expert, on the device, as order_pairs in experts.cu leaves them.
     *
     * @param rows of a tile, {@link #tileRows}
     */
    record Order(long first, long order, long tiles, int experts, int choices, int rows) {}

    /** Whether {@link #run} can multiply rows of x by matrices [inner, columns of x] and back. */
    boolean fits(Tensor x, int inner) {
        return gpu.hasClusters() && SkinnyProduct.isWide(x) && inner % 8 == 0;
    }

    /** Rows of a tile, for this many pairs of token and choice. */
    static int tileRows(int pairs, int experts) {
        if (pairs >= MANY_ROWS * experts) {
            return GROUPED_ROWS;
        }
        return (pairs <= FEW_ROWS * experts ? SkinnyProduct.Variant.UP_TO_8 : SkinnyProduct.Variant.UP_TO_32).tokens();
    }

    /**
     * Rows of every expert by its matrices: silu(first) * second where there are two.
     *
     * @param x address of rows of k elements, {@code xStride} apart
     * @param second address of the second matrices' addresses; 0 for one product, whose rows of x are places
     * @param result address of rows of n elements
     * @param n rows of a matrix
     * @param tiles of rows at most
     */
    void run(long x, long xStride, long matrices, long second, Order order, long result, int n, int k, int tiles) {
        boolean gated = second != 0;
        if (order.rows() == GROUPED_ROWS) {
            launch.put(x).put(xStride);
            put(matrices, second, order, result, n);
            launch.put(n).put(k).put(order.choices());
            int columns = gated ? GROUPED_COLUMNS / 2 : GROUPED_COLUMNS;
            launch.run(
                    kernels.get(Source.GROUPED, gated ? "grouped_gated" : "grouped_plain"),
                    ceil(n, columns),
                    1,
                    tiles,
                    GROUPED_BYTES);
            return;
        }
        SkinnyProduct.Variant variant = SkinnyProduct.Variant.of(order.rows());
        launch.put(x)
                .put(xStride)
                .put(0L)
                .put((long) k)
                .put(0L)
                .put(0)
                .put(0f)
                .put(n)
                .put(k)
                .put(0)
                .put(gated ? n : 8)
                .put(ceil(k, SkinnyProduct.DEPTH) * SkinnyProduct.DEPTH)
                .put(0)
                .put(0L)
                .put(0L)
                .put(order.choices())
                .put(0);
        put(matrices, second, order, result, n);
        launch.run(
                kernels.get(Source.SKINNY, (gated ? "expert_gated_" : "expert_plain_") + variant.tokens()),
                1,
                ceil(n, gated ? variant.rows() / 2 : variant.rows()),
                tiles,
                variant.sharedBytes());
    }

    /** The kernels' Experts. */
    private void put(long matrices, long second, Order order, long result, int n) {
        launch.put(matrices)
                .put(second)
                .put(order.first())
                .put(order.order())
                .put(order.tiles())
                .put(result)
                .put((long) n)
                .put(order.experts())
                .put(order.rows());
    }

    private static int ceil(int all, int part) {
        return (all + part - 1) / part;
    }
}
