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
        long partial = splits == 1 ? 0 : scratch.address("attention", 4L * q.rows() * heads * splits * (headDim + 2));
        put(q);
        put(keys);
        put(values);
        launch.put(batch.queryStart().memory().address())
                .put(batch.contextLengths().memory().address())
                .put(batch.rows().memory().address())
                .put(batch.slotTable().memory().address())
                .put(batch.slotTable().rowStride())
                .put(partial);
        put(out);
        launch.put(batch.sequences())
                .put(heads)
                .put(kvHeads)
                .put(scale)
                .run(
                        kernels.get(Source.FLASH, (decode ? "flash_decode_" : "flash_extend_") + headDim),
                        gridX,
                        gridY,
                        splits,
                        2 * 2 * FLASH_ROUND * headDim * 2);
        if (splits > 1) {
            join(partial, heads, splits, headDim, out);
        }
    }

    /** Three blocks fit a multiprocessor; more than that many splits would only cost joining. */
    private int flashSplits(int blocks, int contextTokens) {
        int wanted = gpu.multiprocessors() * 3 / Math.max(1, blocks);
        return Math.max(1, Math.min(wanted, contextTokens / (2 * FLASH_ROUND)));
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
