package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import dev.baton.tensor.Weight;

/** What every operator asks of its arguments, checked once a call, the same for vector and scalar kernels. */
final class OpChecks {
    private OpChecks() {}

    static TensorException shape(String message) {
        return new TensorException(TensorException.Code.SHAPE, message);
    }

    /** Made only when a rule is broken: a check that holds costs no text and no array. */
    private static TensorException misfit(String operator, String rule, Tensor... tensors) {
        StringBuilder text =
                new StringBuilder(operator).append(": ").append(rule).append("; got");
        for (Tensor tensor : tensors) {
            text.append(' ').append(tensor);
        }
        return shape(text.toString());
    }

    static void f32(String operator, Tensor tensor) {
        dtype(operator, tensor, tensor.dtype() == DType.F32, "F32");
    }

    static void i32(String operator, Tensor tensor) {
        dtype(operator, tensor, tensor.dtype() == DType.I32, "I32");
    }

    /** F32 or BF16, what caches and copies may hold. */
    static void storable(String operator, Tensor tensor) {
        dtype(operator, tensor, tensor.dtype() == DType.F32 || tensor.dtype() == DType.BF16, "F32 or BF16");
    }

    static void parameter(String operator, Tensor tensor) {
        boolean known = switch (tensor.dtype()) {
            case F32, BF16, F16, F8_E4M3 -> true;
            case F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL -> false;
        };
        dtype(operator, tensor, known, "F32, BF16, F16 or F8_E4M3");
    }

    private static void dtype(String operator, Tensor tensor, boolean holds, String wanted) {
        if (!holds) {
            throw new TensorException(TensorException.Code.DTYPE, operator + ": needs " + wanted + ", got " + tensor);
        }
    }

    static void sameShape(String operator, Tensor a, Tensor b) {
        if (!(a.rows() == b.rows() && a.columns() == b.columns())) {
            throw misfit(operator, "both must be [T, n]", a, b);
        }
    }

    static void embed(Tensor ids, Tensor table, Tensor out) {
        i32("embed", ids);
        parameter("embed", table);
        f32("embed", out);
        if (!(ids.elements() == out.rows() && table.columns() == out.columns())) {
            throw misfit("embed", "ids [T], table [rows, hidden], out [T, hidden]", ids, table, out);
        }
    }

    static void rmsNorm(Tensor x, Tensor weight, Tensor out) {
        f32("rmsNorm", x);
        f32("rmsNorm", out);
        parameter("rmsNorm", weight);
        sameShape("rmsNorm", x, out);
        if (!(weight.elements() == x.columns())) {
            throw misfit("rmsNorm", "x [T, n], weight [n]", x, weight);
        }
    }

    static void linear(Tensor x, Weight weight, Tensor out) {
        f32("linear", x);
        f32("linear", out);
        weight("linear", weight);
        if (!(x.columns() == weight.inFeatures() && out.columns() == weight.outFeatures() && x.rows() == out.rows())) {
            throw misfit("linear", "x [T, in], weight [out, in], out [T, out]", x, weight.matrix(), out);
        }
    }

    /** The parts of a weight fit together. */
    static void weight(String operator, Weight weight) {
        parameter(operator, weight.matrix());
        Tensor scales = weight.blockScales();
        if (scales != null) {
            f32(operator, scales);
            if (!(scales.rows() == (weight.outFeatures() + 127) / 128
                    && scales.columns() == (weight.inFeatures() + 127) / 128)) {
                throw misfit(operator, "block scales must be [ceil(out/128), ceil(in/128)]", weight.matrix(), scales);
            }
        }
        Tensor bias = weight.bias();
        if (bias != null) {
            parameter(operator, bias);
            if (!(bias.elements() == weight.outFeatures())) {
                throw misfit(operator, "bias must be [out]", weight.matrix(), bias);
            }
        }
    }

    static void headLinear(Tensor x, Tensor matrices, Tensor out) {
        f32("headLinear", x);
        f32("headLinear", out);
        parameter("headLinear", matrices);
        if (!(matrices.dimensions() == 3
                && x.columns() == matrices.size(2)
                && out.columns() == matrices.size(1)
                && x.rows() == out.rows()
                && x.rows() % matrices.size(0) == 0)) {
            throw misfit(
                    "headLinear",
                    "x [T * heads, in], matrices [heads, out, in], out [T * heads, out]",
                    x,
                    matrices,
                    out);
        }
    }

    static void add(Tensor target, Tensor x) {
        f32("add", target);
        f32("add", x);
        sameShape("add", target, x);
    }

    static void copy(Tensor x, Tensor out) {
        storable("copy", x);
        storable("copy", out);
        sameShape("copy", x, out);
    }

    static void siluMul(Tensor gate, Tensor up, Tensor out) {
        f32("siluMul", gate);
        f32("siluMul", up);
        f32("siluMul", out);
        sameShape("siluMul", gate, up);
        sameShape("siluMul", gate, out);
    }

    static void rope(Tensor x, Tensor positions, Tensor table, int heads, int headDim, int offset, int rotaryDim) {
        f32("rope", x);
        i32("rope", positions);
        f32("rope", table);
        if (!(x.rows() == positions.elements() && x.columns() == (long) heads * headDim)) {
            throw misfit(
                    "rope",
                    "x [T, heads * headDim] with heads " + heads + " and headDim " + headDim + ", positions [T]",
                    x,
                    positions);
        }
        if (!(rotaryDim > 0
                && rotaryDim % 2 == 0
                && offset >= 0
                && offset + rotaryDim <= headDim
                && table.columns() == rotaryDim)) {
            throw misfit(
                    "rope",
                    "rotaryDim " + rotaryDim + " at offset " + offset + " must be even, lie within headDim " + headDim
                            + " and be the table's width",
                    table);
        }
    }

    static void rows(String operator, Tensor values, Tensor slots, Tensor cache) {
        i32(operator, slots);
        storable(operator, cache);
        if (!(values.rows() == slots.elements() && values.columns() == cache.columns())) {
            throw misfit(operator, "rows [T, n], slots [T], cache [slots, n]", values, slots, cache);
        }
    }

    static void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        f32("scatterRows", x);
        rows("scatterRows", x, slots, cache);
    }

    static void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        f32("gatherRows", out);
        rows("gatherRows", out, slots, cache);
    }

    static void attention(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            int valueDim,
            Tensor out) {
        f32("attention", q);
        f32("attention", out);
        storable("attention", keys);
        storable("attention", values);
        if (!(kvHeads > 0
                && heads % kvHeads == 0
                && q.columns() == (long) heads * headDim
                && keys.columns() == (long) kvHeads * headDim
                && values.columns() == (long) kvHeads * valueDim
                && out.columns() == (long) heads * valueDim
                && keys.rows() == values.rows())) {
            throw misfit(
                    "attention",
                    "heads " + heads + ", kvHeads " + kvHeads + ", headDim " + headDim + ", valueDim " + valueDim,
                    q,
                    keys,
                    values,
                    out);
        }
        batch("attention", batch, q, out);
    }

    static void latentAttention(
            Tensor q, Tensor cache, AttentionBatch batch, int heads, int latentDim, int ropeDim, Tensor out) {
        f32("latentAttention", q);
        f32("latentAttention", out);
        storable("latentAttention", cache);
        if (!(q.columns() == (long) heads * (latentDim + ropeDim)
                && cache.columns() == latentDim + ropeDim
                && out.columns() == (long) heads * latentDim)) {
            throw misfit(
                    "latentAttention",
                    "heads " + heads + ", latentDim " + latentDim + ", ropeDim " + ropeDim,
                    q,
                    cache,
                    out);
        }
        batch("latentAttention", batch, q, out);
    }

    /** Every sequence's rows and positions lie inside the tensors. */
    private static void batch(String operator, AttentionBatch batch, Tensor q, Tensor out) {
        int sequences = batch.sequences();
        i32(operator, batch.queryStart());
        i32(operator, batch.contextLengths());
        i32(operator, batch.rows());
        i32(operator, batch.slotTable());
        if (!(batch.queryStart().elements() > sequences
                && batch.contextLengths().elements() >= sequences
                && batch.rows().elements() >= sequences)) {
            throw misfit(
                    operator,
                    "queryStart [B + 1], contextLengths [B], rows [B] with B " + sequences,
                    batch.queryStart(),
                    batch.contextLengths(),
                    batch.rows());
        }
        int tokens = Math.min(q.rows(), out.rows());
        for (int b = 0; b < sequences; b++) {
            int from = Elements.getInt(batch.queryStart(), b);
            int to = Elements.getInt(batch.queryStart(), b + 1);
            int context = Elements.getInt(batch.contextLengths(), b);
            int row = Elements.getInt(batch.rows(), b);
            if (from < 0 || to < from || to > tokens || context < to - from) {
                throw shape(operator + ": sequence " + b + " has query rows [" + from + ", " + to + ") of " + tokens
                        + " and a context of " + context + " tokens");
            }
            if (row < 0
                    || row >= batch.slotTable().rows()
                    || context > batch.slotTable().columns()) {
                throw shape(operator + ": sequence " + b + " uses row " + row + " and " + context
                        + " positions of the slot table " + batch.slotTable());
            }
        }
    }

    static int slot(String operator, int slot, Tensor cache) {
        return slot(operator, slot, cache.rows());
    }

    /** @param rows of the cache: for loops, because a tensor multiplies them out each time */
    static int slot(String operator, int slot, int rows) {
        if (slot < 0 || slot >= rows) {
            throw shape(operator + ": slot " + slot + " lies outside the cache of " + rows + " slots");
        }
        return slot;
    }

    static void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights) {
        f32("gate", logits);
        i32("gate", ids);
        f32("gate", weights);
        int experts = logits.columns();
        if (!(ids.rows() == logits.rows()
                && weights.rows() == logits.rows()
                && ids.columns() == spec.topK()
                && weights.columns() == spec.topK())) {
            throw misfit("gate", "logits [T, experts], ids and weights [T, " + spec.topK() + "]", logits, ids, weights);
        }
        if (spec.groups() < 1
                || experts % spec.groups() != 0
                || spec.keptGroups() > spec.groups()
                || spec.topK() > spec.keptGroups() * (experts / spec.groups())) {
            throw shape("gate: " + experts + " experts in " + spec.groups() + " groups, " + spec.keptGroups()
                    + " kept, cannot give " + spec.topK() + " experts a token");
        }
        Tensor bias = spec.correctionBias();
        if (bias != null) {
            f32("gate", bias);
            if (!(bias.elements() == experts)) {
                throw misfit("gate", "correction bias must be [experts]", logits, bias);
            }
        }
    }

    static void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out) {
        f32("experts", x);
        i32("experts", ids);
        f32("experts", weights);
        f32("experts", out);
        sameShape("experts", x, out);
        if (!(ids.rows() == x.rows() && weights.rows() == x.rows() && ids.columns() == weights.columns())) {
            throw misfit("experts", "x [T, hidden], ids and weights [T, topK]", x, ids, weights);
        }
        for (int e = 0; e < experts.count(); e++) {
            Weight gate = experts.gate().get(e);
            Weight up = experts.up().get(e);
            Weight down = experts.down().get(e);
            if (gate.inFeatures() != x.columns()
                    || up.inFeatures() != x.columns()
                    || down.outFeatures() != x.columns()
                    || gate.outFeatures() != up.outFeatures()
                    || down.inFeatures() != gate.outFeatures()) {
                throw shape("experts: local expert " + e + " has gate " + gate.matrix() + ", up " + up.matrix()
                        + ", down " + down.matrix() + " for x " + x);
            }
        }
    }

    static void argmax(Tensor logits, Tensor out) {
        f32("argmax", logits);
        i32("argmax", out);
        if (!(logits.rows() == out.elements() && logits.columns() > 0)) {
            throw misfit("argmax", "logits [T, n], out [T]", logits, out);
        }
    }

    static void sample(Tensor logits, SampledRows rows, Tensor out) {
        f32("sample", logits);
        i32("sample", out);
        i32("sample", rows.tokens());
        Tensor parameters = rows.parameters();
        if (!(logits.rows() == out.elements() && logits.rows() == parameters.rows() && logits.columns() > 0)) {
            throw misfit("sample", "logits [B, n], parameters [B, columns], out [B]", logits, parameters, out);
        }
    }

    static void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        for (Tensor tensor : new Tensor[] {packed, tokenTable, slotTable, exchange.inputs(), exchange.turn()}) {
            i32("beginStep", tensor);
        }
        boolean fit = packed.elements() <= exchange.inputs().columns() && packed.elements() >= 4L * tokens;
        if (!(fit && tokenTable.elements() == slotTable.elements())) {
            throw misfit(
                    "beginStep", "inputs [2, n], packed [4 T to n], tables of one size", exchange.inputs(), packed);
        }
    }

    static void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        for (Tensor tensor : new Tensor[] {chosen, places, tokenTable, exchange.choices(), exchange.turn()}) {
            i32("endStep", tensor);
        }
        boolean fit = first + chosen.elements() <= exchange.choices().columns();
        if (!(fit && chosen.elements() == places.elements())) {
            throw misfit("endStep", "chosen and places [S], choices [2, first + S or more]", chosen, places);
        }
    }
}
