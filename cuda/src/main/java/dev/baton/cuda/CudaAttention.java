package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.GpuInfo;
import dev.baton.cuda.driver.Kernel;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;

/** Attention over a paged cache: which kernel takes it, and how many blocks share a context. */
final class CudaAttention {
    /** As in attention.cu. */
    private static final int HEADS = 8;

    private static final int TILE = 32;
    private static final int MOST_VALUE_DIM = 512;
    /** As in flash.cu: query rows of a block, positions of a round. */
    private static final int FLASH_ROWS = 64;

    private static final int FLASH_ROUND = 64;
    /** As in flash_hopper.cu: query rows of an item, positions of a round. */
    private static final int HOPPER_ROWS = 128;

    private static final int HOPPER_ROUND = 128;
    /** As in latent.cu: elements of a key and a value, the two forms of its kernel. */
    private static final int LATENT_KEY = 576;

    private static final int LATENT_VALUE = 512;
    private static final LatentKernel LATENT_FEW = new LatentKernel(16, 64, 2);
    private static final LatentKernel LATENT_MANY = new LatentKernel(64, 32, 3);
    private static final int MOST_SPLITS = 64;
    /** Blocks that a multiprocessor should have at least, so that its memory requests overlap. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;

    /** Query rows of a block, positions of a round, rounds in shared memory. */
    private record LatentKernel(int rows, int round, int stages) {
        String title() {
            return "latent_" + rows;
        }

        int sharedBytes() {
            return 2 * LATENT_KEY * (rows + stages * round) + rows * (2 * round + 16);
        }
    }

    /** What the operator was asked for: queries of {@code heads} heads over the cached rows of {@code kvHeads}. */
    private record Call(
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
        /** Query heads that share a key head. */
        int group() {
            return heads / kvHeads;
        }

        int tokens() {
            return q.rows();
        }

        boolean isDecode() {
            return batch.maxQueryTokens() == 1 && batch.sequences() == tokens();
        }

        /** What all kernels with tensor cores take: BF16 and rows on 16-byte boundaries. */
        private boolean isWide() {
            return q.dtype() == DType.BF16
                    && keys.dtype() == DType.BF16
                    && out.dtype() == DType.BF16
                    && (q.rowStride() | keys.rowStride() | values.rowStride() | out.rowStride()) % 8 == 0
                    && (q.memory().address()
                                            | keys.memory().address()
                                            | values.memory().address()
                                            | out.memory().address())
                                    % 16
                            == 0;
        }

        /** Heads of 64 or 128, and latent attention's expanded ones of 192 with values of 128. */
        boolean isFlash() {
            boolean equal = headDim == valueDim && (headDim == 64 || headDim == 128);
            return (equal || headDim == 192 && valueDim == 128) && isWide();
        }

        /** The latent cache of DeepSeek's models. */
        boolean isLatent() {
            return kvHeads == 1
                    && headDim == LATENT_KEY
                    && valueDim == LATENT_VALUE
                    && keys.memory().address() == values.memory().address()
                    && isWide();
        }
    }

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
        if (q.rows() == 0) {
            return;
        }
        Call call = new Call(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
        if (call.isFlash()) {
            flash(call);
        } else if (call.isLatent() && LATENT_MANY.sharedBytes() <= kernels.mostSharedBytes()) {
            latent(call);
        } else {
            plain(call);
        }
    }

    private void plain(Call call) {
        int blocks = call.kvHeads * ((call.group() + HEADS - 1) / HEADS);
        int splits = splits(call.tokens() * blocks, call.batch.maxContextTokens());
        long partial = scratch.address("attention", 4L * call.tokens() * call.heads * splits * (call.valueDim + 2));
        Kernel attend = kernels.get(
                Source.ATTENTION, "attend_" + Kernels.type(call.q.dtype()) + "_" + Kernels.type(call.keys.dtype()));
        put(call.q);
        put(call.keys);
        put(call.values);
        put(call.batch);
        launch.put(partial)
                .put(call.batch.sequences())
                .put(call.heads)
                .put(call.kvHeads)
                .put(call.headDim)
                .put(call.valueDim)
                .put(call.scale)
                .run(attend, call.tokens(), blocks, splits, 4 * HEADS * (call.headDim + TILE));
        join(partial, call.heads, splits, call.valueDim, call.out);
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

    private void latent(Call call) {
        int heads = call.heads;
        AttentionBatch batch = call.batch;
        boolean decode = call.isDecode();
        LatentKernel kernel = batch.maxQueryTokens() * heads > 2 * LATENT_FEW.rows() ? LATENT_MANY : LATENT_FEW;
        int tiles = decode
                ? batch.sequences() * ((heads + kernel.rows() - 1) / kernel.rows())
                : call.tokens() * heads / kernel.rows() + batch.sequences();
        int rounds = Math.max(1, batch.maxContextTokens() / kernel.round());
        int splits = Math.max(1, Math.min(gpu.multiprocessors() / tiles, Math.min(rounds, MOST_SPLITS)));
        long partial = splits == 1
                ? 0
                : scratch.address("attention", 4L * call.tokens() * heads * splits * (LATENT_VALUE + 2));
        put(call.q);
        put(call.keys);
        put(batch);
        launch.put(partial);
        put(call.out);
        launch.put(batch.sequences())
                .put(heads)
                .put(call.scale)
                .put(decode ? 1 : 0)
                .run(kernels.get(Source.LATENT, kernel.title()), tiles, splits, 1, kernel.sharedBytes());
        if (splits > 1) {
            join(partial, heads, splits, LATENT_VALUE, call.out);
        }
    }

    private void flash(Call call) {
        AttentionBatch batch = call.batch;
        int headDim = call.headDim;
        if (headDim == call.valueDim && call.isDecode()) {
            decode(call);
            return;
        }
        int hopperItems = (call.tokens() * call.group() / HOPPER_ROWS + batch.sequences()) * call.kvHeads;
        // One round and few items: smaller tiles over more blocks answer sooner.
        boolean small = batch.maxContextTokens() <= HOPPER_ROUND && hopperItems < gpu.multiprocessors();
        if (!small && call.scale > 0 && gpu.hasWarpGroupProducts()) {
            hopper(call, hopperItems);
            return;
        }
        put(call.q);
        put(call.keys);
        put(call.values);
        put(batch);
        put(call.out);
        launch.put(batch.sequences()).put(call.heads).put(call.kvHeads).put(call.scale);
        launch.run(
                kernels.get(Source.FLASH, "flash_extend_" + headDim),
                call.tokens() * call.group() / FLASH_ROWS + batch.sequences(),
                call.kvHeads,
                1,
                2 * 2 * FLASH_ROUND * (headDim + call.valueDim));
    }

    private void decode(Call call) {
        int sequences = call.batch.sequences();
        int tiles = call.kvHeads * ((call.group() + DecodeBlocks.HEADS - 1) / DecodeBlocks.HEADS);
        int headDim = call.headDim;
        DecodeBlocks blocks = DecodeBlocks.of(
                sequences * tiles,
                call.batch.maxContextTokens(),
                headDim,
                gpu.multiprocessors(),
                kernels.mostSharedBytes());
        int splits = blocks.splits();
        // Splits that form a cluster join in its shared memory, more of them in the device's.
        boolean cluster = gpu.hasClusters() && splits <= Launch.MOST_CLUSTER;
        long partial =
                cluster ? 0 : scratch.address("attention", 4L * sequences * call.heads * splits * (call.valueDim + 2));
        long arrived = cluster ? 0 : scratch.address("attention.arrived", 4L * sequences * tiles);
        put(call.q);
        put(call.keys);
        put(call.values);
        put(call.batch);
        launch.put(partial).put(arrived);
        put(call.out);
        launch.put(call.kvHeads).put(call.group()).put(call.scale).put(blocks.stages());
        Kernel kernel = kernels.get(Source.DECODE, blocks.kernel(headDim), 32 * blocks.warps());
        if (cluster) {
            launch.runClusters(kernel, false, sequences, tiles, splits, blocks.sharedBytes(headDim));
        } else {
            launch.run(kernel, sequences, tiles, splits, blocks.sharedBytes(headDim));
        }
    }

    private void hopper(Call call, int mostItems) {
        int headDim = call.headDim;
        int keyRounds = headDim > 128 ? 2 : 3;
        // Tiles begin on a boundary of 1,024 bytes.
        int sharedBytes = 2 * (HOPPER_ROWS * headDim + HOPPER_ROUND * (keyRounds * headDim + 2 * call.valueDim)) + 1024;
        put(call.q);
        put(call.keys);
        put(call.values);
        put(call.batch);
        launch.put(scratch.address("attention.items", 4));
        put(call.out);
        launch.put(call.batch.sequences()).put(call.heads).put(call.kvHeads).put(call.scale);
        launch.run(
                kernels.get(Source.FLASH_HOPPER, "flash_hopper_" + headDim),
                Math.min(gpu.multiprocessors(), mostItems),
                1,
                1,
                sharedBytes);
    }

    private void put(Tensor tensor) {
        launch.put(tensor.memory().address()).put(tensor.rowStride());
    }

    private void put(AttentionBatch batch) {
        launch.put(batch.queryStart().memory().address())
                .put(batch.contextLengths().memory().address())
                .put(batch.rows().memory().address());
        put(batch.slotTable());
    }

    /** Parts of a context: enough blocks to fill the GPU, none below two tiles. */
    private int splits(int blocks, int contextTokens) {
        int wanted = gpu.multiprocessors() * BLOCKS_PER_MULTIPROCESSOR / Math.max(1, blocks);
        return Math.max(1, Math.min(wanted, contextTokens / (2 * TILE)));
    }
}
