package dev.baton.tensor.cpu;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;

/**
 * Operators whose results are rounded to BF16 where they lie: the arithmetic of a device that keeps activations in BF16
 * and adds up in F32, rehearsed on one that keeps them in F32. A gate's scores and weights stay F32, as they do there.
 */
final class RoundedOps implements Ops {
    private final Ops ops;

    RoundedOps(Ops ops) {
        this.ops = ops;
    }

    private static void round(Tensor out) {
        for (int row = 0; row < out.rows(); row++) {
            MatrixRows.roundToBf16(Native.address(out) + row * Native.rowBytes(out), out.columns());
        }
    }

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        ops.embed(ids, table, firstId, out);
        round(out);
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        ops.rmsNorm(x, weight, epsilon, out);
        round(out);
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        add(residual, x);
        rmsNorm(residual, weight, epsilon, out);
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        ops.linear(x, weight, out);
        round(out);
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        ops.headLinear(x, matrices, out);
        round(out);
    }

    @Override
    public void add(Tensor target, Tensor x) {
        ops.add(target, x);
        round(target);
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        ops.copy(x, out);
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        ops.siluMul(gate, up, out);
        round(out);
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
        ops.rope(x, positions, table, heads, headDim, offset, rotaryDim, interleaved);
        round(x);
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        ops.scatterRows(x, slots, cache);
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        ops.gatherRows(cache, slots, out);
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
        ops.attention(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
        round(out);
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
        ops.latentAttention(q, cache, batch, heads, latentDim, ropeDim, scale, out);
        round(out);
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        ops.gate(logits, spec, ids, weights);
    }

    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        ops.experts(x, ids, weights, experts, out);
        round(out);
    }

    @Override
    public void argmax(Tensor logits, Tensor out) {
        ops.argmax(logits, out);
    }
}
