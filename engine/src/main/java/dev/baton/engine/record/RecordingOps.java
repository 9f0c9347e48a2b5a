package dev.baton.engine.record;

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

/** Runs each operator and tells a sink how long it took. A rank that records nothing never runs through it. */
final class RecordingOps implements Ops {
    private final Ops ops;
    private final SpanSink sink;

    RecordingOps(Ops ops, SpanSink sink) {
        this.ops = ops;
        this.sink = sink;
    }

    @Override
    public void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        long start = System.nanoTime();
        ops.embed(ids, table, firstId, out);
        sink.operator("baton::embed", start, ids, table, out);
    }

    @Override
    public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        long start = System.nanoTime();
        ops.rmsNorm(x, weight, epsilon, out);
        sink.operator("baton::rms_norm", start, x, weight, out);
    }

    @Override
    public void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        long start = System.nanoTime();
        ops.addRmsNorm(residual, x, weight, epsilon, out);
        sink.operator("baton::add_rms_norm", start, residual, x, weight, out);
    }

    @Override
    public void linear(Tensor x, Weight weight, Tensor out) {
        long start = System.nanoTime();
        ops.linear(x, weight, out);
        sink.operator("baton::linear", start, x, weight.matrix(), out);
    }

    @Override
    public void headLinear(Tensor x, Tensor matrices, Tensor out) {
        long start = System.nanoTime();
        ops.headLinear(x, matrices, out);
        sink.operator("baton::head_linear", start, x, matrices, out);
    }

    @Override
    public void add(Tensor target, Tensor x) {
        long start = System.nanoTime();
        ops.add(target, x);
        sink.operator("baton::add", start, target, x);
    }

    @Override
    public void copy(Tensor x, Tensor out) {
        long start = System.nanoTime();
        ops.copy(x, out);
        sink.operator("baton::copy", start, x, out);
    }

    @Override
    public void siluMul(Tensor gate, Tensor up, Tensor out) {
        long start = System.nanoTime();
        ops.siluMul(gate, up, out);
        sink.operator("baton::silu_mul", start, gate, up, out);
    }

    @Override
    public void gatedLinear(Tensor x, Weight weight, Tensor out) {
        long start = System.nanoTime();
        ops.gatedLinear(x, weight, out);
        sink.operator("baton::gated_linear", start, x, weight.matrix(), out);
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
        long start = System.nanoTime();
        ops.rope(x, positions, table, heads, headDim, offset, rotaryDim, interleaved);
        sink.operator("baton::rope", start, x, positions);
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
        long start = System.nanoTime();
        ops.ropeAndStore(q, k, v, positions, table, heads, kvHeads, headDim, interleaved, slots, keys, values);
        sink.operator("baton::rope_and_store", start, q, k, v);
    }

    @Override
    public void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        long start = System.nanoTime();
        ops.scatterRows(x, slots, cache);
        sink.operator("baton::store_kv", start, x, slots, cache);
    }

    @Override
    public void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        long start = System.nanoTime();
        ops.gatherRows(cache, slots, out);
        sink.operator("baton::gather_rows", start, cache, slots, out);
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
        long start = System.nanoTime();
        ops.attention(q, keys, values, batch, heads, kvHeads, headDim, valueDim, scale, out);
        sink.operator("baton::attention", start, q, keys, values, out);
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
        long start = System.nanoTime();
        ops.latentAttention(q, cache, batch, heads, latentDim, ropeDim, scale, out);
        sink.operator("baton::latent_attention", start, q, cache, out);
    }

    @Override
    public void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        long start = System.nanoTime();
        ops.gate(logits, spec, ids, weights);
        sink.operator("baton::topk_gate", start, logits, ids, weights);
    }

    @Override
    public void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        long start = System.nanoTime();
        ops.experts(x, ids, weights, experts, out);
        sink.operator("baton::experts", start, x, ids, weights, out);
    }

    @Override
    public void argmax(Tensor logits, Tensor out) {
        long start = System.nanoTime();
        ops.argmax(logits, out);
        sink.operator("baton::argmax", start, logits, out);
    }

    @Override
    public void sample(Tensor logits, SampledRows rows, Tensor out) {
        long start = System.nanoTime();
        ops.sample(logits, rows, out);
        sink.operator("baton::sample", start, logits, rows.parameters(), out);
    }

    @Override
    public void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        long start = System.nanoTime();
        ops.beginStep(exchange, packed, tokens, tokenTable, slotTable);
        sink.operator("baton::begin_step", start, packed);
    }

    @Override
    public void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        long start = System.nanoTime();
        ops.endStep(exchange, chosen, places, first, tokenTable);
        sink.operator("baton::end_step", start, chosen, places);
    }

    @Override
    public int fusedTokens(DType cacheType) {
        return ops.fusedTokens(cacheType);
    }

    @Override
    public void startRows(NormedRows rows, Tensor norm) {
        long start = System.nanoTime();
        ops.startRows(rows, norm);
        sink.operator("baton::start_rows", start, rows.residual(), norm);
    }

    @Override
    public void linearAdd(Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        long start = System.nanoTime();
        ops.linearAdd(x, weight, rows, norm);
        sink.operator("baton::linear_add", start, x, weight.matrix(), rows.residual());
    }

    @Override
    public void linearGated(NormedRows rows, Weight weight, Tensor out) {
        long start = System.nanoTime();
        ops.linearGated(rows, weight, out);
        sink.operator("baton::linear_gated", start, rows.scaled(), weight.matrix(), out);
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
        long start = System.nanoTime();
        ops.linearHeads(rows, weight, positions, table, heads, kvHeads, headDim, slots, keys, values, out);
        sink.operator("baton::linear_heads", start, rows.scaled(), weight.matrix(), out);
    }

    @Override
    public void finishRows(NormedRows rows, Tensor out) {
        long start = System.nanoTime();
        ops.finishRows(rows, out);
        sink.operator("baton::finish_rows", start, rows.residual(), out);
    }
}
