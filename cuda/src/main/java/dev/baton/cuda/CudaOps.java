package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.blas.MatrixProduct;
import dev.baton.cuda.compile.KernelCache;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Ops;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.Weight;

/** The operators as kernels on the device's stream: each call queues and returns. */
final class CudaOps implements Ops, AutoCloseable {
    /** As in product.cu. */
    private static final int FEW_TOKENS = 4;

    /** Threads of most blocks, and the most of any. */
    private static final int BLOCK = 256;

    private static final int MOST_THREADS = 1024;

    private final Launch launch;
    private final Kernels kernels;
    private final MatrixProduct product;
    private final Operands operands;
    private final CudaAttention attention;
    private final CudaExperts experts;
    private final SkinnyProduct skinny;
    private final GatedProduct gatedProduct;
    private final SplitProduct split;
    private final CudaChoice choice;
    private final boolean fuses;
    private final int mostFused;

    CudaOps(CudaDevice device, KernelCache cache) {
        this.launch = new Launch(device.gpu());
        this.kernels = new Kernels(device.gpu(), cache);
        this.product = new MatrixProduct(device.gpu());
        this.operands = new Operands(device, launch, kernels);
        Scratch scratch = new Scratch(device);
        this.skinny = new SkinnyProduct(device.gpu().info(), launch, kernels, operands);
        TensorMaps maps = new TensorMaps();
        this.gatedProduct = new GatedProduct(device.gpu().info(), launch, kernels, operands, maps);
        this.split = new SplitProduct(device.gpu().info(), launch, kernels, scratch, operands, maps);
        this.experts = new CudaExperts(
                launch,
                kernels,
                scratch,
                operands,
                new ExpertProduct(device.gpu().info(), launch, kernels));
        this.choice =
                new CudaChoice(launch, kernels, scratch, device.gpu().info().multiprocessors());
        this.fuses = device.gpu().info().hasClusters() && device.activationType() == DType.BF16;
        this.mostFused = device.gpu().info().hasWarpGroups() ? SplitProduct.MOST_TOKENS : SkinnyProduct.MOST_TOKENS;
        this.attention = new CudaAttention(device.gpu().info(), launch, kernels, scratch);
        // A compiler that is missing or unfit is an error of the start, not of the first request.
        kernels.get(Source.STEP, "begin_step");
    }

    private static TensorException misfit(String operator, String rule, Tensor... tensors) {
        return new TensorException(
                TensorException.Code.SHAPE, operator + ": " + rule + "; got " + java.util.Arrays.toString(tensors));
    }

    private static void requireSameShape(String operator, Tensor a, Tensor b) {
        if (a.rows() != b.rows() || a.columns() != b.columns()) {
            throw misfit(operator, "both must be [T, n]", a, b);
        }
    }

    /** Puts address and row stride. */
    private Launch rows(Launch to, Tensor tensor) {
        return to.put(tensor.memory().address()).put(tensor.rowStride());
    }

    private static long address(Tensor tensor) {
        return tensor.memory().address();
    }

    private static String pair(Tensor a, Tensor b) {
        return Kernels.type(a.dtype()) + "_" + Kernels.type(b.dtype());
    }

    /** A block a row; nothing for an empty step. */
    private void run(Source source, String kernel, int rows) {
        launch.run(kernels.get(source, kernel), rows, 1, 1, 0);
    }

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        if (ids.elements() != out.rows() || table.columns() != out.columns()) {
            throw misfit("embed", "ids [T], table [rows, hidden], out [T, hidden]", ids, table, out);
        }
        if (out.rows() == 0) {
            return;
        }
        rows(rows(launch.put(address(ids)), table), out)
                .put(table.rows())
                .put(firstId)
                .put(out.columns());
        run(Source.ELEMENTS, "embed_" + pair(table, out), out.rows());
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        requireSameShape("rmsNorm", x, out);
        if (weight.elements() != x.columns()) {
            throw misfit("rmsNorm", "x [T, n], weight [n]", x, weight);
        }
        if (x.rows() == 0) {
            return;
        }
        long factors = operands.address(weight, DType.F32);
        rows(rows(launch, x).put(factors), out).put(epsilon).put(x.columns());
        run(Source.NORM, "rms_norm_" + pair(x, out), x.rows());
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        requireSameShape("addRmsNorm", residual, x);
        requireSameShape("addRmsNorm", x, out);
        if (x.dtype() != out.dtype()) {
            throw misfit("addRmsNorm", "x and out must have one dtype", x, out);
        }
        if (x.rows() == 0) {
            return;
        }
        long factors = operands.address(weight, DType.F32);
        int n = x.columns();
        boolean wide = residual.dtype() == DType.F32
                && x.dtype() == DType.BF16
                && n <= 8 * MOST_THREADS
                && isWide(residual)
                && isWide(x)
                && isWide(out);
        rows(rows(rows(launch, residual), x).put(factors), out).put(epsilon).put(n);
        if (wide) {
            launch.run(kernels.get(Source.NORM, "add_rms_norm_wide", (n / 8 + 31) / 32 * 32), x.rows(), 1, 1, 0);
        } else {
            run(Source.NORM, "add_rms_norm_" + pair(residual, x), x.rows());
        }
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        if (x.columns() != weight.inFeatures() || out.columns() != weight.outFeatures() || x.rows() != out.rows()) {
            throw misfit("linear", "x [T, in], weight [out, in], out [T, out]", x, weight.matrix(), out);
        }
        if (x.rows() == 0) {
            return;
        }
        Tensor matrix = operands.matrix(weight, x.dtype());
        if (skinny.fits(x, matrix)) {
            skinny.plain(x, weight, out);
            return;
        }
        Tensor bias = weight.bias();
        long biasAddress = bias == null ? 0 : operands.address(bias, out.dtype());
        if (isFew(x, matrix)) {
            rows(rows(launch, x), matrix).put(biasAddress);
            rows(launch, out).put(out.columns()).put(x.columns());
            String kernel = "few_" + x.rows() + "_" + Kernels.type(out.dtype());
            launch.run(kernels.get(Source.PRODUCT, kernel), (out.columns() + 7) / 8, 1, 1, 0);
            return;
        }
        product.multiply(
                MatrixProduct.Shape.of(matrix, x, out, bias != null),
                address(matrix),
                address(x),
                address(out),
                biasAddress);
    }

    /** The kernel that reads weights at the memory's speed takes BF16, few tokens, rows on 16-byte boundaries. */
    private static boolean isFew(Tensor x, Tensor matrix) {
        return x.rows() <= FEW_TOKENS && x.dtype() == DType.BF16 && isWide(x) && isWide(matrix);
    }

    /** Rows begin on 16-byte boundaries and are whole groups of eight elements. */
    private static boolean isWide(Tensor tensor) {
        return tensor.columns() % 8 == 0 && tensor.rowStride() % 8 == 0 && address(tensor) % 16 == 0;
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        if (x.columns() != matrices.size(2)
                || out.columns() != matrices.size(1)
                || x.rows() != out.rows()
                || x.rows() % matrices.size(0) != 0) {
            throw misfit(
                    "headLinear",
                    "x [T * heads, in], matrices [heads, out, in], out [T * heads, out]",
                    x,
                    matrices,
                    out);
        }
        if (x.rows() == 0) {
            return;
        }
        Tensor all = operands.tensor(matrices, x.dtype());
        product.multiply(MatrixProduct.Shape.perHead(all, x, out), address(all), address(x), address(out), 0);
    }

    @Override
    public void add(Tensor target, Tensor x) {
        requireSameShape("add", target, x);
        if (x.rows() > 0) {
            rows(rows(launch, target), x).put(x.columns());
            run(Source.ELEMENTS, "add_" + pair(x, target), x.rows());
        }
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        requireSameShape("copy", x, out);
        if (x.rows() > 0) {
            rows(rows(launch, x), out).put(x.columns());
            run(Source.ELEMENTS, "copy_" + pair(x, out), x.rows());
        }
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        requireSameShape("siluMul", gate, up);
        requireSameShape("siluMul", gate, out);
        if (gate.rows() > 0) {
            int n = gate.columns();
            boolean wide = gate.dtype() == DType.BF16 && isWide(gate) && isWide(up) && isWide(out);
            rows(rows(rows(launch, gate), up), out).put(n);
            int parts = (n + (wide ? 8 : 1) * BLOCK - 1) / ((wide ? 8 : 1) * BLOCK);
            String kernel = wide ? "silu_mul_wide" : "silu_mul_" + Kernels.type(gate.dtype());
            launch.run(kernels.get(Source.ELEMENTS, kernel), gate.rows(), parts, 1, 0);
        }
    }

    @Override
    public void rope(
            Tensor x,
            Tensor positions,
            Tensor table,
            int heads,
            int headDim,
            int offset,
            int rotaryDim,
            boolean interleaved) {
        if (x.columns() != heads * headDim || positions.elements() != x.rows() || table.columns() != rotaryDim) {
            throw misfit("rope", "x [T, heads * headDim], positions [T], table [max, rotaryDim]", x, positions, table);
        }
        if (x.rows() > 0) {
            rows(launch, x)
                    .put(address(positions))
                    .put(address(table))
                    .put(heads)
                    .put(headDim)
                    .put(offset)
                    .put(rotaryDim)
                    .put(interleaved ? 1 : 0);
            run(Source.ELEMENTS, "rope_" + Kernels.type(x.dtype()), x.rows());
        }
    }

    @Override
    public void ropeAndStore(
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor positions,
            Tensor table,
            int heads,
            int kvHeads,
            int headDim,
            boolean interleaved,
            Tensor slots,
            Tensor keys,
            Tensor values) {
        if (q.columns() != heads * headDim
                || k.columns() != kvHeads * headDim
                || keys.columns() != k.columns()
                || values.columns() != v.columns()
                || keys.dtype() != values.dtype()) {
            throw misfit(
                    "ropeAndStore", "q [T, heads * headDim], k and keys, v and values alike", q, k, v, keys, values);
        }
        if (q.rows() == 0) {
            return;
        }
        rows(rows(rows(rows(rows(launch, q), k), v), keys), values)
                .put(address(positions))
                .put(address(slots))
                .put(address(table))
                .put(heads)
                .put(kvHeads)
                .put(headDim)
                .put(v.columns());
        boolean wide = !interleaved && table.columns() == headDim && headDim % 16 == 0;
        for (Tensor tensor : new Tensor[] {q, k, v, keys, values}) {
            wide &= SkinnyProduct.isWide(tensor);
        }
        if (wide) {
            int eighths = ((heads + kvHeads) * headDim / 2 + v.columns()) / 8;
            int threads = Math.min(512, (eighths + 31) / 32 * 32);
            launch.run(kernels.get(Source.ELEMENTS, "rope_store_wide", threads), q.rows(), 1, 1, 0);
        } else {
            launch.put(table.columns()).put(interleaved ? 1 : 0);
            run(Source.ELEMENTS, "rope_store_" + pair(q, keys), q.rows());
        }
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        if (slots.elements() != x.rows() || cache.columns() != x.columns()) {
            throw misfit("scatterRows", "x [T, n], slots [T], cache [slots, n]", x, slots, cache);
        }
        if (x.rows() > 0) {
            rows(rows(launch, x).put(address(slots)), cache).put(x.columns());
            run(Source.ELEMENTS, "scatter_" + pair(x, cache), x.rows());
        }
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        if (slots.elements() != out.rows() || cache.columns() != out.columns()) {
            throw misfit("gatherRows", "cache [slots, n], slots [T], out [T, n]", cache, slots, out);
        }
        if (out.rows() > 0) {
            rows(rows(launch, cache).put(address(slots)), out).put(out.columns());
            run(Source.ELEMENTS, "gather_" + pair(cache, out), out.rows());
        }
    }

    @Override
    public void attention(
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
        if (q.columns() != heads * headDim
                || keys.columns() != kvHeads * headDim
                || values.columns() != kvHeads * valueDim
                || out.columns() != heads * valueDim
                || q.rows() != out.rows()) {
            throw misfit(
                    "attention", "shapes do not fit " + heads + " and " + kvHeads + " heads", q, keys, values, out);
        }
        attention.run(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
    }

    @Override
    public void latentAttention(
            Tensor q,
            Tensor cache,
            AttentionBatch batch,
            int heads,
            int latentDim,
            int ropeDim,
            float scale,
            Tensor out) {
        if (q.columns() != heads * (latentDim + ropeDim)
                || cache.columns() != latentDim + ropeDim
                || out.columns() != heads * latentDim
                || q.rows() != out.rows()) {
            throw misfit("latentAttention", "shapes do not fit " + heads + " heads", q, cache, out);
        }
        attention.run(q, cache, cache, batch, heads, 1, latentDim + ropeDim, latentDim, scale, out);
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        experts.gate(logits, spec, ids, weights);
    }

    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights all, Tensor out) {
        requireSameShape("experts", x, out);
        experts.run(x, ids, weights, all, out);
    }

    @Override
    public void argmax(Tensor logits, Tensor out) {
        choice.argmax(logits, out);
    }

    @Override
    public void sample(Tensor logits, SampledRows rows, Tensor out) {
        choice.sample(logits, rows, out);
    }

    @Override
    public void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        choice.beginStep(exchange, packed, tokens, tokenTable, slotTable);
    }

    @Override
    public void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        choice.endStep(exchange, chosen, places, first, tokenTable);
    }

    @Override
    public void gatedLinear(Tensor x, Weight weight, Tensor out) {
        if (x.columns() != weight.inFeatures() || out.columns() != weight.outFeatures() || x.rows() != out.rows()) {
            throw misfit(
                    "gatedLinear", "x [T, in], weight [2 * inner, in], out [T, 2 * inner]", x, weight.matrix(), out);
        }
        if (!gatedProduct.multiply(x, weight, out)) {
            Ops.super.gatedLinear(x, weight, out);
        }
    }

    @Override
    public int fusedTokens(DType cacheType) {
        return fuses && cacheType == DType.BF16 ? mostFused : 0;
    }

    /** Whether the few-token kernels do a step, which keep the stream in a form of their own. */
    private static boolean isFew(NormedRows rows) {
        return rows.residual().rows() <= SkinnyProduct.MOST_TOKENS;
    }

    @Override
    public void startRows(NormedRows rows, Tensor norm) {
        if (isFew(rows)) {
            skinny.start(rows, norm);
        } else {
            Ops.super.startRows(rows, norm);
        }
    }

    @Override
    public void linearAdd(Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        if (isFew(rows)) {
            skinny.add(x, weight, rows, norm);
        } else if (!split.add(x, weight, rows, norm)) {
            Ops.super.linearAdd(x, weight, rows, norm);
        }
    }

    @Override
    public void linearGated(NormedRows rows, Weight weight, Tensor out) {
        if (isFew(rows)) {
            skinny.gated(rows, weight, out);
        } else {
            Ops.super.linearGated(rows, weight, out);
        }
    }

    @Override
    public void linearHeads(
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
        if (isFew(rows)) {
            skinny.heads(rows, weight, positions, table, heads, kvHeads, headDim, slots, keys, values, out);
        } else if (!split.heads(rows, weight, positions, table, heads, kvHeads, headDim, slots, keys, values, out)) {
            Ops.super.linearHeads(rows, weight, positions, table, heads, kvHeads, headDim, slots, keys, values, out);
        }
    }

    @Override
    public void finishRows(NormedRows rows, Tensor out) {
        if (isFew(rows)) {
            skinny.finish(rows, out);
        } else {
            Ops.super.finishRows(rows, out);
        }
    }

    GatedProduct gatedProduct() {
        return gatedProduct;
    }

    SplitProduct splitProduct() {
        return split;
    }

    @Override
    public void close() {
        product.close();
        kernels.close();
    }
}
