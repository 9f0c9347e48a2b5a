package dev.baton.tensor;

import dev.baton.model.DType;

/**
 * How each row of logits is to be sampled, for {@link Ops#sample}. A row of {@link #parameters} is {@link #COLUMNS}
 * numbers, floats by their bits: see the constants.
 *
 * @param parameters I32 [B, COLUMNS]
 * @param tokens I32 [rows, positions], the token table: what stands at each position of a sequence
 */
public record SampledRows(Tensor parameters, Tensor tokens) {
    /** Float: 1 / temperature; 0 for the largest logit. */
    public static final int FACTOR = 0;

    /** So many tokens are kept at most; 0 for all. */
    public static final int TOP_K = 1;

    /** Float: a token is kept while those before it do not exceed this share; 1 for all. */
    public static final int TOP_P = 2;

    /** Float: a token is kept while it weighs at least this share of the best one. */
    public static final int MIN_P = 3;

    /** Float: divides positive logits, multiplies negative ones, of tokens in prompt and answer; 1 for none. */
    public static final int REPETITION_PENALTY = 4;

    /** Float: taken off for each occurrence in the answer. */
    public static final int FREQUENCY_PENALTY = 5;

    /** Float: taken off tokens that occur in the answer. */
    public static final int PRESENCE_PENALTY = 6;

    /** Low and high half of a 64-bit random number, whose upper 53 bits are the uniform number times 2^53. */
    public static final int UNIFORM_LOW = 7;

    public static final int UNIFORM_HIGH = 8;
    /** Row of the token table. */
    public static final int ROW = 9;

    /** Tokens of the prompt. */
    public static final int PROMPT = 10;

    /** Tokens so far. */
    public static final int LENGTH = 11;

    public static final int COLUMNS = 12;

    public SampledRows {
        if (parameters.dtype() != DType.I32 || parameters.columns() != COLUMNS || !parameters.isDense()) {
            throw new TensorException(
                    TensorException.Code.SHAPE, "parameters must be dense I32 [B, " + COLUMNS + "]: " + parameters);
        }
    }

    /** The same of rows {@code [from, from + count)}. */
    public SampledRows rows(int from, int count) {
        return new SampledRows(parameters.rowRange(from, count), tokens);
    }
}
