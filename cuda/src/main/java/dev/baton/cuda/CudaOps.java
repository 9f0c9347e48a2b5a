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
import dev.baton.tensor.Weight;

/** The operators as kernels on the device's stream: each call queues and returns. */
final class CudaOps implements Ops, AutoCloseable {
    /** As in product.cu. */
    private static final int FEW_TOKENS = 4;

    private final Launch launch;
    private final Kernels kernels;
    private final MatrixProduct product;
    private final Operands operands;
    private final CudaElements elements;
    private final CudaAttention attention;
    private final CudaExperts experts;
    private final SkinnyProduct skinny;
    private final GatedProduct gatedProduct;
    private final SplitProduct split;
    private final CudaChoice choice;
    /** 0 where nothing is fused. */
    private final int mostFused;

    CudaOps(CudaDevice device, KernelCache cache) {
        this.launch = new Launch(device.gpu());
        this.kernels = new Kernels(device.gpu(), cache);
        this.product = new MatrixProduct(device.gpu());
        this.operands = new Operands(device, launch, kernels);
        this.elements = new CudaElements(launch, kernels, operands);
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
        boolean fuses = device.gpu().info().hasClusters() && device.activationType() == DType.BF16;
        boolean splits = device.gpu().info().hasWarpGroupProducts();
        this.mostFused = !fuses ? 0 : splits ? SplitProduct.MOST_TOKENS : SkinnyProduct.MOST_TOKENS;
        this.attention = new CudaAttention(device.gpu().info(), launch, kernels, scratch);
        // A compiler that is missing or unfit is an error of the start, not of the first request.
        kernels.get(Source.STEP, "begin_step");
    }

    /** Puts address and row stride. */
    private Launch rows(Launch to, Tensor tensor) {
        return to.put(tensor.memory().address()).put(tensor.rowStride());
    }

    private static long address(Tensor tensor) {
        return tensor.memory().address();
    }

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        elements.embed(ids, table, firstId, out);
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        elements.rmsNorm(x, weight, epsilon, out);
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        elements.addRmsNorm(residual, x, weight, epsilon, out);
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        if (x.columns() != weight.inFeatures() || out.columns() != weight.outFeatures() || x.rows() != out.rows()) {
            throw CudaElements.misfit("linear", "x [T, in], weight [out, in], out [T, out]", x, weight.matrix(), out);
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
        return x.rows() <= FEW_TOKENS && SkinnyProduct.isWide(x) && SkinnyProduct.isWide(matrix);
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        if (x.columns() != matrices.size(2)
                || out.columns() != matrices.size(1)
                || x.rows() != out.rows()
                || x.rows() % matrices.size(0) != 0) {
            throw CudaElements.misfit(
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
        elements.add(target, x);
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        elements.copy(x, out);
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        elements.siluMul(gate, up, out);
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
        elements.rope(x, positions, table, heads, headDim, offset, rotaryDim, interleaved);
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
        elements.ropeAndStore(q, k, v, positions, table, heads, kvHeads, headDim, interleaved, slots, keys, values);
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        elements.scatterRows(x, slots, cache);
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        elements.gatherRows(cache, slots, out);
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
            throw CudaElements.misfit(
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
            throw CudaElements.misfit("latentAttention", "shapes do not fit " + heads + " heads", q, cache, out);
        }
        attention.run(q, cache, cache, batch, heads, 1, latentDim + ropeDim, latentDim, scale, out);
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        experts.gate(logits, spec, ids, weights);
    }

    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights all, Tensor out) {
        CudaElements.requireSameShape("experts", x, out);
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
            throw CudaElements.misfit(
                    "gatedLinear", "x [T, in], weight [2 * inner, in], out [T, 2 * inner]", x, weight.matrix(), out);
        }
        if (!gatedProduct.multiply(x, weight, out)) {
            Ops.super.gatedLinear(x, weight, out);
        }
    }

    @Override
    public int fusedTokens(DType cacheType) {
        return cacheType == DType.BF16 ? mostFused : 0;
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
