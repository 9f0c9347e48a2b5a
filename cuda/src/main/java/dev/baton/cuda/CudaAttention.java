package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Kernel;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;

/** Attention over a paged cache: how many blocks share a context, and the two kernels. */
final class CudaAttention {
    /** As in attention.cu. */
    private static final int HEADS = 8;

    private static final int TILE = 32;
    private static final int MOST_VALUE_DIM = 512;
    /** As in flash.cu: query rows of a block, positions of a round. */
    private static final int FLASH_ROWS = 64;

    private static final int FLASH_ROUND = 64;
    private static final int MOST_SPLITS = 64;
    /** From so many rounds a block on, more blocks pay although they join through the device's memory. */
    private static final int MANY_ROUNDS = 8;
    /** Blocks that a multiprocessor should have at least, so that its memory requests overlap. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;

    private final GpuInfo gpu;
    private final Launch launch;
    private final Kernels kernels;
    private final Scratch scratch;

    CudaAttention(GpuInfo gpu, Launch launch, Kernels kernels, Scratch scratch) {
        this.gpu = gpu;
        this.launch = launch;
        this.kernels = kernels;
        this.scratch = scratch;
    }

    void run(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            int valueDim,
            float scale,
            Tensor out) {
        if (valueDim > MOST_VALUE_DIM || heads % kvHeads != 0 || keys.dtype() != values.dtype()) {
            throw new TensorException(
                    TensorException.Code.SHAPE,
                    "attention: values of at most " + MOST_VALUE_DIM
                            + " elements, whole groups of heads and one cache type; got " + heads + " heads, " + kvHeads
                            + " key heads, valueDim " + valueDim + ", " + keys + " " + values);
        }
        int tokens = q.rows();
        if (tokens == 0) {
            return;
        }
        if (isFlash(q, keys, headDim, valueDim, out)) {
            flash(q, keys, values, batch, heads, kvHeads, headDim, scale, out);
            return;
        }
        int blocks = kvHeads * ((heads / kvHeads + HEADS - 1) / HEADS);
        int splits = splits(tokens * blocks, batch.maxContextTokens());
        long partial = scratch.address("attention", 4L * tokens * heads * splits * (valueDim + 2));
        Kernel attend =
                kernels.get(Source.ATTENTION, "attend_" + Kernels.type(q.dtype()) + "_" + Kernels.type(keys.dtype()));
        put(q);
        put(keys);
        put(values);
        launch.put(batch.queryStart().memory().address())
                .put(batch.contextLengths().memory().address())
                .put(batch.rows().memory().address())
                .put(batch.slotTable().memory().address())
                .put(batch.slotTable().rowStride())
                .put(partial)
                .put(batch.sequences())
                .put(heads)
                .put(kvHeads)
                .put(headDim)
                .put(valueDim)
                .put(scale)
                .run(attend, tokens, blocks, splits, 4 * HEADS * (headDim + TILE));
        join(partial, heads, splits, valueDim, out);
    }

    private void join(long partial, int heads, int splits, int valueDim, Tensor out) {
        launch.put(partial)
                .put(out.memory().address())
                .put(out.rowStride())
                .put(heads)
                .put(splits)
                .put(valueDim)
                .run(kernels.get(Source.ATTENTION, "join_" + Kernels.type(out.dtype())), out.rows(), heads, 1, 0);
    }

    /** The kernels with tensor cores take BF16, heads of 64 or 128, and rows on 16-byte boundaries. */
    private static boolean isFlash(Tensor q, Tensor keys, int headDim, int valueDim, Tensor out) {
        return q.dtype() == DType.BF16
                && keys.dtype() == DType.BF16
                && out.dtype() == DType.BF16
                && headDim == valueDim
                && (headDim == 64 || headDim == 128)
                && q.rowStride() % 2 == 0
                && out.rowStride() % 2 == 0
                && (q.memory().address() | out.memory().address()) % 4 == 0
                && keys.rowStride() % 8 == 0
                && keys.memory().address() % 16 == 0;
    }

    private void flash(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            float scale,
            Tensor out) {
        int group = heads / kvHeads;
        boolean decode = batch.maxQueryTokens() == 1 && batch.sequences() == q.rows();
        int gridX = decode ? batch.sequences() : q.rows() * group / FLASH_ROWS + batch.sequences();
        int gridY = decode ? kvHeads * ((group + 15) / 16) : kvHeads;
        int splits = decode ? flashSplits(gridX * gridY, batch.maxContextTokens()) : 1;
        // Splits that form a cluster join in its shared memory, more of them in the device's.
        boolean cluster = gpu.hasClusters() && splits <= Launch.MOST_CLUSTER;
        long partial = cluster ? 0 : scratch.address("attention", 4L * q.rows() * heads * splits * (headDim + 2));
        long arrived = cluster ? 0 : scratch.address("attention.arrived", 4L * gridX * gridY);
        Kernel kernel = kernels.get(Source.FLASH, (decode ? "flash_decode_" : "flash_extend_") + headDim);
        put(q);
        put(keys);
        put(values);
        launch.put(batch.queryStart().memory().address())
                .put(batch.contextLengths().memory().address())
                .put(batch.rows().memory().address())
                .put(batch.slotTable().memory().address())
                .put(batch.slotTable().rowStride())
                .put(partial)
                .put(arrived);
        put(out);
        launch.put(batch.sequences()).put(heads).put(kvHeads).put(scale);
        int sharedBytes = 2 * 2 * FLASH_ROUND * headDim * 2;
        if (cluster) {
            launch.runClusters(kernel, false, gridX, gridY, splits, sharedBytes);
        } else {
            launch.run(kernel, gridX, gridY, splits, sharedBytes);
        }
    }

    /**
     * A context is split until there are two blocks a multiprocessor, down to a round each, but not beyond a cluster unless
     * each block of it had many rounds to do. Powers of two, so that clusters fit the GPU.
     */
    private int flashSplits(int blocks, int contextTokens) {
        int rounds = Math.max(1, contextTokens / FLASH_ROUND);
        int wanted = Math.max(1, Math.min(2 * gpu.multiprocessors() / blocks, rounds));
        int most = rounds <= Launch.MOST_CLUSTER * MANY_ROUNDS ? Launch.MOST_CLUSTER : MOST_SPLITS;
        return Math.min(Integer.highestOneBit(wanted), most);
    }

    private void put(Tensor tensor) {
        launch.put(tensor.memory().address()).put(tensor.rowStride());
    }

    /** Parts of a context: enough blocks to fill the GPU, none below two tiles. */
    private int splits(int blocks, int contextTokens) {
        int wanted = gpu.multiprocessors() * BLOCKS_PER_MULTIPROCESSOR / Math.max(1, blocks);
        return Math.max(1, Math.min(wanted, contextTokens / (2 * TILE)));
    }
}
