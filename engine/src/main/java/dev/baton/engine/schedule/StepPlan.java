package dev.baton.engine.schedule;

import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One forward step, decided by the scheduler and executed by every rank of a group in the order of {@link #step}.
 * Immutable: no array is written after construction. B sequences, T tokens; the tokens of sequence b are
 * {@code [tokenStart[b], tokenStart[b + 1])} and stand at positions {@code start[b], start[b] + 1, ...}.
 *
 * <p>Each rank keeps two tables, one row a live request: the slot table (position to cache slot) and the token pool
 * (position to token id). A step first writes {@link #prefixes} into the slot table, then the new tokens' slots and
 * ids. The id of a decode token is not known when the step is planned, so it is read from the token pool, where the
 * step before it wrote the token that it sampled at position {@code start + count}. A decode token with an id of 0 or
 * more is known (its KV came from a prefill server) and is written to the token pool like a prompt token.
 *
 * @param step counts from 1
 * @param mode what kind of step
 * @param rows [B] table row of each sequence
 * @param tokenStart [B + 1]
 * @param starts [B] position of the first new token: the cached length
 * @param slots [T] cache slot of each new token, 1 and up (slot 0 belongs to padding)
 * @param inputIds [T] token ids; -1 means "read the token pool"
 * @param prefixes what to write in the slot table first: cached prefixes of sequences that enter their row
 * @param samples [B] whether the last token's logits are sampled (false for a chunk that is not the prompt's last)
 * @param sampling [B] parameters of each sequence
 * @param seeds [B] seed of each sequence's random numbers
 * @param logprobs [B] what log probabilities to return, null for none
 * @param promptTokens [B] prompt length of each sequence: what stands at this position and after it was generated, which
 *     matters for penalties and {@code min_new_tokens}; a retracted sequence is prefilled beyond it
 * @param matchers [B] what follows each sequence's answer through its grammar, null for none. Only the rank that chooses
 *     tokens touches them, and it brings them up to date itself: the plan need not wait for the token before
 */
public record StepPlan(
        long step,
        ForwardMode mode,
        int[] rows,
        int[] tokenStart,
        int[] starts,
        int[] slots,
        int[] inputIds,
        List<Prefix> prefixes,
        boolean[] samples,
        SamplingParams[] sampling,
        long[] seeds,
        EngineRequest.@Nullable LogprobSpec[] logprobs,
        int[] promptTokens,
        @Nullable Matcher[] matchers) {

    /** A plan without grammars. */
    public StepPlan(
            long step,
            ForwardMode mode,
            int[] rows,
            int[] tokenStart,
            int[] starts,
            int[] slots,
            int[] inputIds,
            List<Prefix> prefixes,
            boolean[] samples,
            SamplingParams[] sampling,
            long[] seeds,
            EngineRequest.@Nullable LogprobSpec[] logprobs,
            int[] promptTokens) {
        this(
                step,
                mode,
                rows,
                tokenStart,
                starts,
                slots,
                inputIds,
                prefixes,
                samples,
                sampling,
                seeds,
                logprobs,
                promptTokens,
                new Matcher[rows.length]);
    }

    /** A plan in which no sequence has generated anything before this step. */
    public StepPlan(
            long step,
            ForwardMode mode,
            int[] rows,
            int[] tokenStart,
            int[] starts,
            int[] slots,
            int[] inputIds,
            List<Prefix> prefixes,
            boolean[] samples,
            SamplingParams[] sampling,
            long[] seeds,
            EngineRequest.@Nullable LogprobSpec[] logprobs) {
        this(
                step,
                mode,
                rows,
                tokenStart,
                starts,
                slots,
                inputIds,
                prefixes,
                samples,
                sampling,
                seeds,
                logprobs,
                endOf(starts, tokenStart));
    }

    private static int[] endOf(int[] starts, int[] tokenStart) {
        int[] ends = new int[starts.length];
        for (int b = 0; b < ends.length; b++) {
            ends[b] = starts[b] + tokenStart[b + 1] - tokenStart[b];
        }
        return ends;
    }

    /**
     * A sequence enters a row with a prefix already in the cache.
     *
     * @param row table row
     * @param slots slots of positions 0, 1, ... (empty for a sequence without cached prefix)
     * @param ids token ids of the same positions
     */
    public record Prefix(int row, int[] slots, int[] ids) {}

    /** A plan without sequences: the rank only takes part in collectives. */
    public static StepPlan idle() {
        int[] none = {};
        return new StepPlan(
                0,
                ForwardMode.IDLE,
                none,
                new int[1],
                none,
                none,
                none,
                List.of(),
                new boolean[0],
                new SamplingParams[0],
                new long[0],
                new EngineRequest.LogprobSpec[0],
                none);
    }

    /** The same plan with what follows its answers through their grammars. */
    public StepPlan withMatchers(@Nullable Matcher[] others) {
        return copy(step, others);
    }

    /** The same plan with another number. */
    public StepPlan numbered(long number) {
        return copy(number, matchers);
    }

    private StepPlan copy(long number, @Nullable Matcher[] others) {
        return new StepPlan(
                number,
                mode,
                rows,
                tokenStart,
                starts,
                slots,
                inputIds,
                prefixes,
                samples,
                sampling,
                seeds,
                logprobs,
                promptTokens,
                others);
    }

    /** The step's name in traces, as SGLang has it. */
    public String title() {
        return "step[" + mode + " bs=" + sequences() + (mode == ForwardMode.EXTEND ? " toks=" + tokens() : "") + "]";
    }

    /** B. */
    public int sequences() {
        return rows.length;
    }

    /** T. */
    public int tokens() {
        return slots.length;
    }

    /** New tokens of sequence b. */
    public int count(int b) {
        return tokenStart[b + 1] - tokenStart[b];
    }

    /** Cached and new tokens of sequence b. */
    public int contextLength(int b) {
        return starts[b] + count(b);
    }
}
