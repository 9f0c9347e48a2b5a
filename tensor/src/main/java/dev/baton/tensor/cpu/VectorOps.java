package dev.baton.tensor.cpu;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.List;

/**
 * The operators with the Vector API, shared out over the rank's threads. Bits of a result row depend neither on the
 * number of threads nor on the other rows of the call (batch size, chunking): see {@link MatrixProduct} and
 * {@link VectorAttention} for the sum orders. They do depend on the vector width of the machine.
 *
 * <p>Small operators run on the calling thread alone. In steady state nothing is allocated.
 */
final class VectorOps implements Ops, AutoCloseable {
    /** Multiply-adds (or element visits of a light operator) below which helper threads are not worth waking. */
    static final long PARALLEL_WORK = 64 << 10;

    private final CpuWorkers workers;
    private final long parallelWork;
    private final RowsTask rowsTask = new RowsTask();
    private final MatrixProduct product = new MatrixProduct();
    private final CpuWorkers.Task productTask;
    private int productFeatures;
    private final HeadsTask headsTask = new HeadsTask();
    private final VectorAttention attention;
    private final VectorExperts experts;

    VectorOps(CpuWorkers workers) {
        this(workers, PARALLEL_WORK);
    }

    /**
     * @param parallelWork work from which an operator is shared out
     */
    VectorOps(CpuWorkers workers, long parallelWork) {
        this.workers = workers;
        this.parallelWork = parallelWork;
        this.productTask = (part, parts, scratch) ->
                product.run(share(productFeatures, part, parts), share(productFeatures, part + 1, parts), scratch);
        Tensor none = RowsTask.NONE;
        this.attention = new VectorAttention(none, new AttentionBatch(0, none, none, none, none, 0, 0));
        this.experts =
                new VectorExperts(none, new ExpertWeights(0, List.of(), List.of(), List.of()), workers.newBlock());
    }

    /** First of {@code n} columns that belong to a part: whole tiles of 8, the last part takes the rest. */
    static int share(int n, int part, int parts) {
        return part == parts ? n : (int) ((long) n * part / parts) / MatrixProduct.TILE * MatrixProduct.TILE;
    }

    private void runRows(int rows, long work) {
        rowsTask.rows = rows;
        if (work < parallelWork || rows == 1) {
            workers.runAlone(rowsTask);
        } else {
            workers.run(rowsTask);
        }
    }

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        OpChecks.embed(ids, table, out);
        rowsTask.set(RowsTask.Kind.EMBED, table, ids, out);
        rowsTask.first = firstId;
        runRows(out.rows(), out.elements());
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        OpChecks.rmsNorm(x, weight, out);
        rowsTask.set(RowsTask.Kind.RMS_NORM, x, weight, out);
        rowsTask.factor = epsilon;
        runRows(x.rows(), x.elements());
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        OpChecks.rmsNorm(residual, weight, out);
        OpChecks.add(residual, x);
        rowsTask.set(RowsTask.Kind.ADD_RMS_NORM, x, weight, out);
        rowsTask.residual = residual;
        rowsTask.factor = epsilon;
        runRows(x.rows(), x.elements());
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        OpChecks.linear(x, weight, out);
        product.input(Native.address(x), Native.rowBytes(x), x.rows())
                .weight(weight)
                .output(Native.address(out), Native.rowBytes(out));
        productFeatures = weight.outFeatures();
        if ((long) x.rows() * weight.outFeatures() * weight.inFeatures() < parallelWork) {
            workers.runAlone(productTask);
        } else {
            workers.run(productTask);
        }
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        OpChecks.headLinear(x, matrices, out);
        headsTask.x = x;
        headsTask.matrices = matrices;
        headsTask.out = out;
        if (x.rows() / matrices.size(0) * matrices.elements() < parallelWork) {
            workers.runAlone(headsTask);
        } else {
            workers.run(headsTask);
        }
    }

    /** Each part takes its share of every head's output features. */
    private static final class HeadsTask implements CpuWorkers.Task {
        private Tensor x = RowsTask.NONE;
        private Tensor matrices = RowsTask.NONE;
        private Tensor out = RowsTask.NONE;

        @Override
        public void run(int part, int parts, Scratch scratch) {
            int heads = (int) matrices.size(0);
            int rows = (int) matrices.size(1);
            int from = share(rows, part, parts);
            int to = share(rows, part + 1, parts);
            for (int h = 0; h < heads; h++) {
                scratch.product
                        .input(Native.address(x) + h * Native.rowBytes(x), heads * Native.rowBytes(x), x.rows() / heads)
                        .matrix(matrices, (long) h * rows)
                        .output(Native.address(out) + h * Native.rowBytes(out), heads * Native.rowBytes(out))
                        .run(from, to, scratch);
            }
        }
    }

    @Override
    public void add(Tensor target, Tensor x) {
        OpChecks.add(target, x);
        rowsTask.set(RowsTask.Kind.ADD, x, x, target);
        runRows(x.rows(), x.elements());
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        OpChecks.copy(x, out);
        rowsTask.set(RowsTask.Kind.COPY, x, x, out);
        runRows(x.rows(), x.elements());
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        OpChecks.siluMul(gate, up, out);
        rowsTask.set(RowsTask.Kind.SILU_MUL, gate, up, out);
        runRows(gate.rows(), 4 * gate.elements());
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
        OpChecks.rope(x, positions, table, heads, headDim, offset, rotaryDim);
        rowsTask.set(interleaved ? RowsTask.Kind.ROPE_PAIRS : RowsTask.Kind.ROPE_HALVES, x, positions, x);
        rowsTask.table = table;
        rowsTask.heads = heads;
        rowsTask.headDim = headDim;
        rowsTask.first = offset;
        rowsTask.rotaryDim = rotaryDim;
        runRows(x.rows(), (long) x.rows() * heads * rotaryDim);
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        OpChecks.scatterRows(x, slots, cache);
        rowsTask.set(RowsTask.Kind.SCATTER, x, slots, cache);
        // One thread: two tokens may name the same slot (padding), the later one wins.
        rowsTask.rows = x.rows();
        workers.runAlone(rowsTask);
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        OpChecks.gatherRows(cache, slots, out);
        rowsTask.set(RowsTask.Kind.GATHER, cache, slots, out);
        runRows(out.rows(), out.elements());
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
        OpChecks.attention(q, keys, values, batch, heads, kvHeads, headDim, valueDim, out);
        runAttention(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
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
        OpChecks.latentAttention(q, cache, batch, heads, latentDim, ropeDim, out);
        runAttention(q, cache, cache, batch, heads, 1, latentDim + ropeDim, latentDim, scale, out);
    }

    private void runAttention(
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
        attention.prepare(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out, workers.threads());
        if (attention.work() < parallelWork) {
            workers.runAlone(attention);
        } else {
            workers.run(attention);
        }
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        OpChecks.gate(logits, spec, ids, weights);
        rowsTask.set(RowsTask.Kind.GATE, logits, ids, weights);
        rowsTask.spec = spec;
        // Choosing k of n takes about k visits of each score.
        runRows(logits.rows(), logits.elements() * (4 + spec.topK()));
    }

    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        OpChecks.experts(x, ids, weights, experts, out);
        this.experts.run(x, ids, weights, experts, out, workers, parallelWork);
    }

    @Override
    public void argmax(Tensor logits, Tensor out) {
        OpChecks.argmax(logits, out);
        rowsTask.set(RowsTask.Kind.ARGMAX, logits, logits, out);
        runRows(logits.rows(), logits.elements());
    }

    @Override
    public void close() {
        workers.close();
    }
}
