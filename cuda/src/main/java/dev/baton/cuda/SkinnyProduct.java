package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.Weight;
import org.jspecify.annotations.Nullable;

/**
 * Products of at most {@link #MOST_TOKENS} tokens at the speed at which the weights can be read, alone or with what
 * follows them (skinny.cu): how rows and k are divided among blocks, and the kernels.
 */
final class SkinnyProduct {
    /** With more, {@link SplitProduct}, {@link GatedProduct} and cuBLASLt are faster. */
    static final int MOST_TOKENS = 16;

    /** As in skinny.cu: k of a stage. */
    static final int DEPTH = 64;

    private static final int MOST_SPLITS = Launch.MOST_CLUSTER;
    /** Stages that a block should have at least. */
    private static final int FEWEST_STEPS = 4;

    /**
     * The variants in skinny.cu: most tokens, rows of a block, stages of its ring, and blocks a multiprocessor. The last one is
     * for tiles of experts only.
     */
    enum Variant {
        UP_TO_8(8, 64, 6, 4),
        UP_TO_16(16, 64, 5, 4),
        UP_TO_32(32, 64, 5, 3);

        private final int tokens;
        private final int rows;
        private final int stages;
        private final int sharedBytes;
        private final int blocks;

        Variant(int tokens, int rows, int stages, int blocks) {
            this.tokens = tokens;
            this.rows = rows;
            this.stages = stages;
            this.sharedBytes = sharedBytes(stages);
            this.blocks = blocks;
        }

        static Variant of(int tokens) {
            for (Variant variant : values()) {
                if (tokens <= variant.tokens) {
                    return variant;
                }
            }
            throw new IllegalArgumentException(tokens + " tokens");
        }

        int tokens() {
            return tokens;
        }

        int rows() {
            return rows;
        }

        int sharedBytes() {
            return sharedBytes;
        }

        /** Of a block that uses so many stages of its ring, and then the place for its parts. */
        private int sharedBytes(int steps) {
            return Math.max(Math.min(stages, steps) * (rows + tokens) * 2 * DEPTH, 4 * tokens * (rows + 4));
        }
    }

    private final GpuInfo gpu;
    private final Launch launch;
    private final Kernels kernels;
    private final Operands operands;

    SkinnyProduct(GpuInfo gpu, Launch launch, Kernels kernels, Operands operands) {
        this.gpu = gpu;
        this.launch = launch;
        this.kernels = kernels;
        this.operands = operands;
    }

    /** Whether {@link #plain} can multiply these. */
    boolean fits(Tensor x, Tensor matrix) {
        return gpu.hasClusters() && x.rows() <= MOST_TOKENS && isWide(x) && isWide(matrix);
    }

    /** BF16 rows that begin on 16-byte boundaries and are whole groups of eight elements. */
    static boolean isWide(Tensor tensor) {
        return tensor.dtype() == DType.BF16 && CudaElements.isWide(tensor);
    }

    /** out = x W^T + bias. */
    void plain(Tensor x, Weight weight, Tensor out) {
        Tensor matrix = operands.matrix(weight, DType.BF16);
        long bias = bias(weight);
        put(x, matrix, null, 8);
        launch.put(bias);
        rows(out);
        run("plain_" + Kernels.type(out.dtype()), x.rows(), matrix);
    }

    void add(Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        Tensor matrix = operands.matrix(weight, DType.BF16);
        require(rows, x, matrix);
        long bias = bias(weight);
        long factors = operands.address(norm, DType.F32);
        put(x, matrix, null, 8);
        launch.put(bias);
        rows(rows.residual());
        launch.put(factors);
        rows(rows.scaled());
        launch.put(rows.squares().memory().address()).put(rows.squares().columns());
        run("add", x.rows(), matrix);
    }

    void gated(NormedRows rows, Weight weight, Tensor out) {
        Tensor matrix = operands.matrix(weight, DType.BF16);
        require(rows, rows.scaled(), matrix);
        put(rows.scaled(), matrix, rows, matrix.rows() / 2);
        rows(out);
        run("gated", out.rows(), matrix);
    }

    void heads(
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
        Tensor matrix = operands.matrix(weight, DType.BF16);
        require(rows, rows.scaled(), matrix);
        long bias = bias(weight);
        put(rows.scaled(), matrix, rows, headDim / 2);
        launch.put(bias);
        rows(out);
        rows(keys);
        rows(values);
        launch.put(positions.memory().address())
                .put(slots.memory().address())
                .put(table.memory().address())
                .put(heads * headDim)
                .put(kvHeads * headDim);
        run("heads", out.rows(), matrix);
    }

    void start(NormedRows rows, Tensor norm) {
        long factors = operands.address(norm, DType.F32);
        rows(rows.residual());
        launch.put(factors);
        rows(rows.scaled());
        launch.put(rows.squares().memory().address())
                .put(rows.squares().columns())
                .put(rows.residual().columns())
                .run(
                        kernels.get(Source.SKINNY, "scale_rows", 256),
                        rows.residual().rows(),
                        1,
                        1,
                        0);
    }

    void finish(NormedRows rows, Tensor out) {
        if (!isWide(rows.scaled()) || !isWide(out)) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "finishRows takes BF16 rows on 16-byte boundaries; got " + rows + " " + out);
        }
        rows(rows.scaled());
        launch.put(rows.squares().memory().address());
        rows(out);
        launch.put(rows.squares().columns())
                .put(rows.epsilon())
                .put(out.columns())
                .run(kernels.get(Source.SKINNY, "finish_rows", 256), out.rows(), 1, 1, 0);
    }

    private static void require(NormedRows rows, Tensor x, Tensor matrix) {
        int hidden = rows.residual().columns();
        if (hidden % NormedRows.GROUP != 0
                || rows.squares().columns() != hidden / NormedRows.GROUP
                || !rows.squares().isDense()
                || rows.scaled().columns() != hidden
                || x.columns() != matrix.columns()
                || matrix.rows() % 16 != 0
                || !isWide(x)
                || !isWide(matrix)) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "a fused product takes a stream of a multiple of " + NormedRows.GROUP
                            + " elements and BF16 rows on 16-byte boundaries; got " + rows + " " + x + " " + matrix);
        }
    }

    private long bias(Weight weight) {
        Tensor bias = weight.bias();
        return bias == null ? 0 : operands.address(bias, DType.F32);
    }

    private void rows(Tensor tensor) {
        launch.put(tensor.memory().address()).put(tensor.rowStride());
    }

    /** The kernels' Input. */
    private void put(Tensor x, Tensor matrix, @Nullable NormedRows normed, int half) {
        rows(x);
        rows(matrix);
        launch.put(normed == null ? 0 : normed.squares().memory().address())
                .put(normed == null ? 0 : normed.squares().columns())
                .put(normed == null ? 0 : normed.epsilon())
                .put(matrix.rows())
                .put(matrix.columns())
                .put(x.rows())
                .put(half)
                .put(slice(x.rows(), matrix))
                .put(normed == null ? 0 : normed.residual().columns())
                .put(0L)
                .put(0L)
                .put(0)
                .put(0);
    }

    private int slice(int tokens, Tensor matrix) {
        int steps = (matrix.columns() + DEPTH - 1) / DEPTH;
        int splits = splits(tokens, matrix);
        return (steps + splits - 1) / splits * DEPTH;
    }

    /** Blocks that share k: as many as fill the GPU once, none with too little to do. */
    private int splits(int tokens, Tensor matrix) {
        Variant variant = Variant.of(tokens);
        int tiles = (matrix.rows() + variant.rows - 1) / variant.rows;
        int steps = (matrix.columns() + DEPTH - 1) / DEPTH;
        int splits = 1;
        while (splits < MOST_SPLITS
                && 2 * splits * tiles <= gpu.multiprocessors() * variant.blocks
                && steps >= 2 * splits * FEWEST_STEPS) {
            splits *= 2;
        }
        return splits;
    }

    private void run(String kernel, int tokens, Tensor matrix) {
        Variant variant = Variant.of(tokens);
        launch.runClusters(
                kernels.get(Source.SKINNY, kernel + "_" + variant.tokens),
                true,
                splits(tokens, matrix),
                (matrix.rows() + variant.rows - 1) / variant.rows,
                1,
                // A block that needs less leaves room for the next kernel's, which begin meanwhile.
                variant.sharedBytes(slice(tokens, matrix) / DEPTH));
    }
}
