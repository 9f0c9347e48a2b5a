package dev.baton.tensor;

import dev.baton.model.DType;

/**
 * The operators of a device. Activations are F32 on a CPU ([tokens, features], rows may be strided); weights are what
 * their file holds. T is the number of tokens of the step. No operator allocates memory that outlives the call, and
 * the sum order of every operator is fixed, so that one plan gives the same bits each time on one device and layout.
 */
public interface Ops {
    /**
     * out[t] = table[ids[t] - firstId], or zeros where the id lies outside the table (a vocabulary shard).
     *
     * @param ids I32 [T]
     * @param table [rows, hidden]
     * @param out F32 [T, hidden]
     */
    void embed(Tensor ids, Tensor table, int firstId, Tensor out);

    /** out = x / sqrt(mean(x^2) + epsilon) * weight, per row. x and out [T, n] (may be the same), weight [n]. */
    void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out);

    /** residual += x; out = rmsNorm(residual). All [T, n]; out may be x. */
    void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out);

    /** out = x W^T + b. x [T, in], out [T, out]. */
    void linear(Tensor x, Weight weight, Tensor out);

    /**
     * Gate and up projection of any rows and silu(gate) * up.
     *
     * @param x [T, in]
     * @param weight [2 * inner, in]: gate, then up
     * @param out [T, 2 * inner]; the result lies in the first half of each row, the rest holds nothing of meaning
     */
    default void gatedLinear(Tensor x, Weight weight, Tensor out) {
        linear(x, weight, out);
        int inner = out.columns() / 2;
        Tensor gate = out.columnRange(0, inner);
        siluMul(gate, out.columnRange(inner, inner), gate);
    }

    /**
     * A matrix a head: out[t * heads + h] = W[h] x[t * heads + h].
     *
     * @param x [T * heads, in], the heads of one token after the other
     * @param matrices [heads, out, in]
     * @param out [T * heads, out]
     */
    void headLinear(Tensor x, Tensor matrices, Tensor out);

    /** target += x, both [T, n]. */
    void add(Tensor target, Tensor x);

    /** out = x, both [T, n] with any strides and F32 or BF16. */
    void copy(Tensor x, Tensor out);

    /** out = silu(gate) * up, all [T, n]; out may be gate. */
    void siluMul(Tensor gate, Tensor up, Tensor out);

    /**
     * Rotates in place, for every head, the {@code rotaryDim} elements that begin at {@code offset} of its
     * {@code headDim}.
     *
     * @param x [T, heads * headDim]
     * @param positions I32 [T]
     * @param table F32 [maxPositions, rotaryDim]: cos in the first half of a row, sin in the second
     * @param interleaved pairs are (2i, 2i+1); otherwise (i, i + rotaryDim/2)
     */
    void rope(
            Tensor x,
            Tensor positions,
            Tensor table,
            int heads,
            int headDim,
            int offset,
            int rotaryDim,
            boolean interleaved);

    /**
     * What grouped attention does between its projections and its scores: rotates q in place from element 0 of each head,
     * and writes the rotated keys and the values to their slots. k holds nothing of meaning afterwards.
     *
     * @param q [T, heads * headDim]
     * @param k [T, kvHeads * headDim]
     * @param v [T, kvHeads * valueDim]
     * @param table as {@link #rope} has it
     * @param slots I32 [T]
     * @param keys cache [slots, kvHeads * headDim]
     * @param values cache [slots, kvHeads * valueDim]
     */
    default void ropeAndStore(
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
        int rotaryDim = table.columns();
        rope(q, positions, table, heads, headDim, 0, rotaryDim, interleaved);
        rope(k, positions, table, kvHeads, headDim, 0, rotaryDim, interleaved);
        scatterRows(k, slots, keys);
        scatterRows(v, slots, values);
    }

    /** cache[slots[t]] = x[t] for each t; x [T, n] F32, slots I32 [T], cache [slots, n] F32 or BF16. */
    void scatterRows(Tensor x, Tensor slots, Tensor cache);

    /** out[t] = cache[slots[t]]; the reverse of {@link #scatterRows}. Also picks the last rows of sequences. */
    void gatherRows(Tensor cache, Tensor slots, Tensor out);

    /**
     * Causal attention over a paged cache; grouped heads: query head h reads key head h * kvHeads / heads.
     *
     * @param q F32 [T, heads * headDim]
     * @param keys cache [slots, kvHeads * headDim], F32 or BF16
     * @param values cache [slots, kvHeads * valueDim]
     * @param out F32 [T, heads * valueDim]
     */
    void attention(
            Tensor q,
            Tensor keys,
            Tensor values,
            AttentionBatch batch,
            int heads,
            int kvHeads,
            int headDim,
            int valueDim,
            float scale,
            Tensor out);

    /**
     * MLA in its absorbed form: one key head of latentDim + ropeDim shared by all query heads, its first latentDim
     * elements are the value (DeepSeek-V2, section 2.1).
     *
     * @param q F32 [T, heads * (latentDim + ropeDim)]
     * @param cache [slots, latentDim + ropeDim]
     * @param out F32 [T, heads * latentDim]
     */
    void latentAttention(
            Tensor q,
            Tensor cache,
            AttentionBatch batch,
            int heads,
            int latentDim,
            int ropeDim,
            float scale,
            Tensor out);

    /**
     * Chooses experts. Ties go to the lower id. Ineligible groups are masked with -infinity (as DeepSeek's reference
     * and SGLang do).
     *
     * @param logits F32 [T, experts]
     * @param ids I32 [T, topK]
     * @param weights F32 [T, topK]
     */
    void gate(Tensor logits, GateSpec spec, Tensor ids, Tensor weights);

    /**
     * out[t] = sum over k of weights[t, k] * expert(ids[t, k])(x[t]); ids outside this rank's experts add nothing.
     *
     * @param x F32 [T, hidden]
     * @param ids I32 [T, topK]
     * @param weights F32 [T, topK]
     * @param out F32 [T, hidden], overwritten
     */
    void experts(Tensor x, Tensor ids, Tensor weights, ExpertWeights experts, Tensor out);

    /** out[t] = the index of the largest logit of row t (the lowest such index). logits F32 [T, n], out I32 [T]. */
    void argmax(Tensor logits, Tensor out);

    /**
     * Samples a token of each row: penalties, then temperature, then top-k, top-p and min-p taken together over one
     * distribution, then one draw. Weights are e^((logit - largest) / temperature) in units of 2^-40, so that their sums
     * are the same in any order. In the order of the logits (ties: lower id first), the first token that has k before it,
     * or more than top-p of the mass before it, or less than min-p of the best one's weight, is cut with all behind it.
     * The token drawn is the first, by id, whose weights up to it exceed the uniform number's share of what is kept.
     *
     * @param logits F32 [B, n]; penalties change them
     * @param out I32 [B]; -1 where no logit is above minus infinity
     */
    default void sample(Tensor logits, SampledRows rows, Tensor out) {
        throw new TensorException(TensorException.Code.UNAVAILABLE, "this device does not sample");
    }

    /**
     * Takes a step's integers from host memory and enters its tokens in the two tables, {@link StepExchange}. An id below 0
     * is read from the token table, where an earlier step has left it.
     *
     * @param packed I32 [n]: what is taken. Its first parts are ids, positions, slots and places in the tables, [T] each;
     *     equal places only with equal ids and slots
     * @param tokens T
     */
    default void beginStep(StepExchange exchange, Tensor packed, int tokens, Tensor tokenTable, Tensor slotTable) {
        throw new TensorException(TensorException.Code.UNAVAILABLE, "this device keeps no token table");
    }

    /**
     * Leaves what the step chose in the token table, for the next step, and in host memory.
     *
     * @param chosen I32 [S]
     * @param places I32 [S] places in the token table
     * @param first where in the host memory's row the ids begin
     */
    default void endStep(StepExchange exchange, Tensor chosen, Tensor places, int first, Tensor tokenTable) {
        throw new TensorException(TensorException.Code.UNAVAILABLE, "this device keeps no token table");
    }

    /**
     * Steps of at most so many tokens are faster through the operators below, which do what stands between two products
     * within one of them. 0 where they bring nothing.
     *
     * @param cacheType of keys and values
     */
    default int fusedTokens(DType cacheType) {
        return 0;
    }

    /** Norms {@code rows.residual} for the first product. */
    default void startRows(NormedRows rows, Tensor norm) {
        rmsNorm(rows.residual(), norm, rows.epsilon(), rows.scaled());
    }

    /** residual += x W^T + b, normed for the next product. x [T, in], weight [hidden, in], norm F32 [hidden]. */
    default void linearAdd(Tensor x, Weight weight, NormedRows rows, Tensor norm) {
        linear(x, weight, rows.scaled());
        addRmsNorm(rows.residual(), rows.scaled(), norm, rows.epsilon(), rows.scaled());
    }

    /**
     * {@link #gatedLinear} of the normed stream.
     *
     * @param weight [2 * inner, hidden]: gate, then up
     * @param out [T, 2 * inner]; the result lies in the first half of each row, the rest holds nothing of meaning
     */
    default void linearGated(NormedRows rows, Weight weight, Tensor out) {
        gatedLinear(rows.scaled(), weight, out);
    }

    /**
     * Query, key and value projection and {@link #ropeAndStore} of whole heads, pairs (i, i + headDim/2).
     *
     * @param weight [(heads + 2 * kvHeads) * headDim, hidden]: queries, keys, values
     * @param table F32 [maxPositions, headDim]
     * @param out [T, (heads + 2 * kvHeads) * headDim]; the queries lie at the beginning of each row, the rest holds nothing
     *     of meaning
     */
    default void linearHeads(
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
        linear(rows.scaled(), weight, out);
        int queries = heads * headDim;
        int columns = kvHeads * headDim;
        ropeAndStore(
                out.columnRange(0, queries),
                out.columnRange(queries, columns),
                out.columnRange(queries + columns, columns),
                positions,
                table,
                heads,
                kvHeads,
                headDim,
                false,
                slots,
                keys,
                values);
    }

    /** out = the normed stream, activations [T, hidden]. */
    default void finishRows(NormedRows rows, Tensor out) {
        copy(rows.scaled(), out);
    }
}
