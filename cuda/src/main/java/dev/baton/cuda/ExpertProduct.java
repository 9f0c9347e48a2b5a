package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Launch;
import dev.baton.tensor.Tensor;

/**
 * Products of every expert's rows with its matrices by tensor cores. Few rows an expert go through tiles that read the
 * weights at the memory's speed (skinny.cu), many through tiles that keep the tensor cores busy (grouped.cu). Block-scaled F8
 * matrices have tiles of their own (grouped_f8.cu).
 */
final class ExpertProduct {
    /** From so many rows an expert on, on average, tiles of 128 rows are worth what they compute in vain. */
    private static final int MANY_ROWS = 64;

    private static final int FEW_ROWS = 4;
    /** As in grouped.cu: rows of a tile, rows of the matrices in it, dynamic shared memory and threads. */
    private static final int GROUPED_ROWS = 128;

    private static final int GROUPED_COLUMNS = 128;
    private static final int GROUPED_BYTES = 3 * (GROUPED_ROWS + GROUPED_COLUMNS) * 128;
    /** As in grouped_f8.cu: rows of its smaller tiles, k and number of stages. */
    private static final int FEW_ROWS_F8 = 16;

    private static final int MORE_ROWS_F8 = 32;
    private static final int DEPTH_F8 = 128;
    private static final int STAGES_F8 = 4;

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

    /**
     * Device addresses of every expert's matrices, and of their scales.
     *
     * @param scales address of the addresses; 0 for BF16 matrices, else they are block-scaled F8
     */
    record Matrices(long addresses, long scales) {
        static final Matrices NONE = new Matrices(0, 0);
    }

    /** Whether {@link #run} can multiply rows of x by matrices [inner, columns of x] and back. */
    boolean fits(Tensor x, int inner) {
        return gpu.hasClusters() && SkinnyProduct.isWide(x) && inner % 8 == 0;
    }

    /** Whether it can with F8 matrices as they are. */
    boolean fitsF8(Tensor x, int inner) {
        return fits(x, inner)
                && (x.columns() | inner) % 16 == 0
                && sharedBytesF8(GROUPED_ROWS) <= kernels.mostSharedBytes();
    }

    /** Rows of a tile, for this many pairs of token and choice. */
    static int tileRows(int pairs, int experts, boolean f8) {
        if (pairs >= MANY_ROWS * experts) {
            return GROUPED_ROWS;
        }
        if (f8) {
            return pairs <= FEW_ROWS_F8 / 2 * experts ? FEW_ROWS_F8 : MORE_ROWS_F8;
        }
        return (pairs <= FEW_ROWS * experts ? SkinnyProduct.Variant.UP_TO_8 : SkinnyProduct.Variant.UP_TO_32).tokens();
    }

    /**
     * Rows of every expert by its matrices: silu(first) * second where there are two.
     *
     * @param x address of rows of k elements, {@code xStride} apart
     * @param second {@link Matrices#NONE} for one product, whose rows of x are places
     * @param result address of rows of n elements
     * @param n rows of a matrix
     * @param tiles of rows at most
     */
    void run(long x, long xStride, Matrices first, Matrices second, Order order, long result, int n, int k, int tiles) {
        boolean gated = second.addresses != 0;
        if (first.scales != 0) {
            launch.put(x).put(xStride);
            put(first, second, order, result, n);
            launch.put(first.scales).put(second.scales);
            launch.put(n).put(k).put(order.choices());
            launch.run(
                    kernels.get(Source.GROUPED_F8, (gated ? "f8_gated_" : "f8_plain_") + order.rows()),
                    ceil(n, gated ? GROUPED_COLUMNS / 2 : GROUPED_COLUMNS),
                    1,
                    tiles,
                    sharedBytesF8(order.rows()));
            return;
        }
        if (order.rows() == GROUPED_ROWS) {
            launch.put(x).put(xStride);
            put(first, second, order, result, n);
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
        put(first, second, order, result, n);
        launch.run(
                kernels.get(Source.SKINNY, (gated ? "expert_gated_" : "expert_plain_") + variant.tokens()),
                1,
                ceil(n, gated ? variant.rows() / 2 : variant.rows()),
                tiles,
                variant.sharedBytes());
    }

    /** The kernels' Experts. */
    private void put(Matrices first, Matrices second, Order order, long result, int n) {
        launch.put(first.addresses)
                .put(second.addresses)
                .put(order.first())
                .put(order.order())
                .put(order.tiles())
                .put(result)
                .put((long) n)
                .put(order.experts())
                .put(order.rows());
    }

    private static int sharedBytesF8(int rows) {
        return STAGES_F8 * DEPTH_F8 * (2 * rows + GROUPED_COLUMNS);
    }

    private static int ceil(int all, int part) {
        return (all + part - 1) / part;
    }
}
