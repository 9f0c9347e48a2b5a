package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Products of a decode step of more tokens than {@link SkinnyProduct} takes, with what follows them: blocks share k and leave
 * their parts in memory, and the kernel behind them, norm or rotation, sums them (parts.cu).
 */
final class SplitProduct {
    /** Tokens at most: columns of the widest tile. */
    static final int MOST_TOKENS = 256;

    /** As in parts.cu. */
    private static final int MOST_RING = 200 << 10;

    private static final int MOST_STAGES = 16;
    /** Rows of a warp group. */
    private static final int GROUP_ROWS = 64;
    /** Stages that a block should have at least. */
    private static final int FEWEST_STEPS = 2;

    private static final int MOST_SLICES = 16;
    /** What a byte of weights, which come from memory, costs more than one of x, which comes from the L2 cache. */
    private static final double WEIGHT_COST = 4;
    /** And a byte of parts, written or read. */
    private static final double PART_COST = 6;
    /** Less of the multiprocessors' time used than this, and a library's product is as fast. */
    private static final double LEAST_USE = 0.7;
    /** And where x and parts cost more than so many times what the weights do. */
    private static final double MOST_REST = 2.5;
    /** Threads of a norm, unless its rows need twice as many; each has up to so many times four elements. */
    private static final int NORM_THREADS = 256;

    private static final int MOST_PIECES = 4;
    private static final int MOST_NORMED = 2 * NORM_THREADS * 4 * MOST_PIECES;

    private static final int HEADS_THREADS = 128;

    /**
     * How a product is divided.
     *
     * @param tokens columns of a tile
     * @param groups warp groups of a block, 64 rows of w each
     * @param slices of k
     */
    record Plan(int tokens, int groups, int slices) {
        int rows() {
            return groups * GROUP_ROWS;
        }

        int sharedBytes(int k) {
            int stage = (rows() + tokens) * 2 * GatedProduct.DEPTH;
            int steps = (stages(k) + slices - 1) / slices;
            return Math.min(steps, Math.min(MOST_RING / stage, MOST_STAGES)) * stage;
        }

        private String kernel() {
            return "parts_" + tokens + "_" + groups;
        }
    }

    private final GpuInfo gpu;
    private final Launch launch;
    private final Kernels kernels;
    private final Scratch scratch;
    private final Operands operands;
    private final TensorMaps maps;

    SplitProduct(GpuInfo gpu, Launch launch, Kernels kernels, Scratch scratch, Operands operands, TensorMaps maps) {
        this.gpu = gpu;
        this.launch = launch;
        this.kernels = kernels;
        this.scratch = scratch;
        this.operands = operands;
        this.maps = maps;
    }

    private static int stages(int k) {
        return (k + GatedProduct.DEPTH - 1) / GatedProduct.DEPTH;
    }

    /**
     * The division whose blocks, one a multiprocessor at most, have the fewest bytes to move; null where a library's product
     * is as fast.
     *
     * @param n rows of w
     * @param k its columns
     */
    static @Nullable Plan plan(int multiprocessors, int tokens, int n, int k) {
        int columns = tokens <= 32 ? 32 : tokens <= 64 ? 64 : tokens <= 128 ? 128 : 256;
        int steps = stages(k);
        Plan best = null;
        double fewest = Double.MAX_VALUE;
        for (int groups = 1; groups <= (columns == 256 ? 2 : 3); groups++) {
            int rows = groups * GROUP_ROWS;
            int tiles = (n + rows - 1) / rows;
            int most = Math.min(MOST_SLICES, Math.min(multiprocessors / tiles, Math.max(1, steps / FEWEST_STEPS)));
            for (int slices = 1; slices <= most; slices++) {
                int longest = (steps + slices - 1) / slices;
                double weights = WEIGHT_COST * 2 * GatedProduct.DEPTH * longest * rows;
                double rest = 2.0 * GatedProduct.DEPTH * longest * tokens
                        + PART_COST * 4 * tokens * (rows + (double) slices * n / multiprocessors);
                boolean busy = (double) n * steps >= LEAST_USE * multiprocessors * rows * longest;
                if (busy && weights + rest < fewest) {
                    fewest = weights + rest;
                    best = rest <= MOST_REST * weights ? new Plan(columns, groups, slices) : null;
                }
            }
        }
        return best;
    }

    /** residual += x W^T + bias and its norm in {@code rows.scaled}; false where plain operators have to do it. */
    boolean add(Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        Plan plan = plan(gpu.multiprocessors(), x.rows(), weight.outFeatures(), weight.inFeatures());
        return plan != null && x.rows() <= MOST_TOKENS && add(plan, x, weight, rows, norm);
    }

    boolean add(Plan plan, Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        Tensor residual = rows.residual();
        Tensor out = rows.scaled();
        int n = weight.outFeatures();
        if (n > MOST_NORMED
                || !SkinnyProduct.isWide(out)
                || residual.dtype() != DType.F32
                || residual.rowStride() % 4 != 0) {
            return false;
        }
        // Both are read before the product has ended: a conversion must lie before it.
        long factors = operands.address(norm, DType.F32);
        long bias = bias(weight);
        if (!multiply(plan, x, weight)) {
            return false;
        }
        int most = n > 4 * MOST_PIECES * NORM_THREADS ? 2 * NORM_THREADS : NORM_THREADS;
        int pieces = 1;
        while (n > pieces * 4 * most) {
            pieces *= 2;
        }
        putSums(plan, x, n, bias);
        launch.put(residual.memory().address())
                .put(residual.rowStride())
                .put(factors)
                .put(out.memory().address())
                .put(out.rowStride())
                .put(rows.epsilon());
        int threads = (n / (4 * pieces) + 31) / 32 * 32;
        launch.run(kernels.get(Source.PARTS, "sum_norm_" + pieces, threads), x.rows(), 1, 1, 0);
        return true;
    }

    /** {@code Ops.linearHeads}; false where plain operators have to do it. */
    boolean heads(
            NormedRows rows,
            Weight weight,
            Tensor positions,
            Tensor table,
            int heads,
            int kvHeads,
            int headDim,
            Tensor slots,
            Tensor keys,
            Tensor values,
            Tensor out) {
        Tensor x = rows.scaled();
        Plan plan = plan(gpu.multiprocessors(), x.rows(), weight.outFeatures(), weight.inFeatures());
        if (plan == null
                || x.rows() > MOST_TOKENS
                || headDim % 8 != 0
                || table.rowStride() != headDim
                || !SkinnyProduct.isWide(out)
                || !SkinnyProduct.isWide(keys)
                || !SkinnyProduct.isWide(values)) {
            return false;
        }
        long bias = bias(weight);
        if (!multiply(plan, x, weight)) {
            return false;
        }
        putSums(plan, x, weight.outFeatures(), bias);
        launch.put(out.memory().address())
                .put(out.rowStride())
                .put(keys.memory().address())
                .put(keys.rowStride())
                .put(values.memory().address())
                .put(values.rowStride())
                .put(positions.memory().address())
                .put(slots.memory().address())
                .put(table.memory().address())
                .put(heads * headDim)
                .put(kvHeads * headDim)
                .put(headDim / 2);
        int threads = weight.outFeatures() / 8;
        launch.run(
                kernels.get(Source.PARTS, "sum_heads", HEADS_THREADS),
                (threads + HEADS_THREADS - 1) / HEADS_THREADS,
                x.rows(),
                1,
                0);
        return true;
    }

    /** The parts of x W^T. */
    private boolean multiply(Plan plan, Tensor x, Weight weight) {
        int n = weight.outFeatures();
        int k = weight.inFeatures();
        if (!gpu.hasWarpGroupProducts() || n % 8 != 0 || !SkinnyProduct.isWide(x)) {
            return false;
        }
        Tensor matrix = operands.matrix(weight, DType.BF16);
        if (!SkinnyProduct.isWide(matrix)) {
            return false;
        }
        long parts = parts(plan, x, n);
        launch.put(maps.rows(matrix, plan.rows()))
                .put(maps.rows(x, plan.tokens()))
                .put(parts)
                .put(n)
                .put(k)
                .put(x.rows())
                .put(0);
        launch.run(
                kernels.get(Source.PARTS, plan.kernel(), plan.groups() * 128 + 32),
                (n + plan.rows() - 1) / plan.rows(),
                plan.slices(),
                1,
                plan.sharedBytes(k));
        return true;
    }

    /** F32 [slices, T, n] */
    private long parts(Plan plan, Tensor x, int n) {
        return scratch.address("parts", 4L * plan.slices() * x.rows() * n);
    }

    private long bias(Weight weight) {
        Tensor bias = weight.bias();
        return bias == null ? 0 : operands.address(bias, DType.F32);
    }

    /** The kernels' Sums. */
    private void putSums(Plan plan, Tensor x, int n, long bias) {
        launch.put(parts(plan, x, n))
                .put((long) x.rows() * n)
                .put(bias)
                .put(plan.slices())
                .put(n);
    }
}
