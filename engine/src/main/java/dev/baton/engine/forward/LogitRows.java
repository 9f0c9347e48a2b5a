package dev.baton.engine.forward;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.StepPlan;
import java.util.Arrays;

/**
 * Which tokens of a step need logits, in the order of the tokens: the last token of every sequence that is sampled, and
 * the tokens before prompt positions whose log probability is asked for. Every rank derives the same rows from a plan.
 * Reused from step to step; one thread.
 */
public final class LogitRows {
    private int count;
    /** [count] row of the step. */
    private int[] tokens = new int[64];
    /** [count] sequence of the plan. */
    private int[] sequences = new int[64];
    /** [count] whether the row's logits are sampled. */
    private boolean[] sampled = new boolean[64];

    void of(StepPlan plan) {
        count = 0;
        for (int b = 0; b < plan.sequences(); b++) {
            EngineRequest.LogprobSpec spec = plan.logprobs()[b];
            int start = plan.starts()[b];
            int tokenCount = plan.count(b);
            int first = tokenCount;
            if (spec != null && spec.startPosition() >= 0) {
                // The logits at position p tell about the token at p + 1; those at the first position asked for and
                // before it tell nothing that is returned.
                first = Math.max(0, spec.startPosition() - start);
            }
            for (int i = Math.min(first, tokenCount); i < tokenCount; i++) {
                boolean last = i == tokenCount - 1;
                if (start + i + 1 < plan.promptTokens()[b] && !(last && plan.samples()[b])) {
                    add(plan.tokenStart()[b] + i, b, false);
                }
            }
            if (plan.samples()[b]) {
                add(plan.tokenStart()[b] + tokenCount - 1, b, true);
            }
        }
    }

    /** How many rows {@link #of} finds. */
    public static int countOf(StepPlan plan) {
        LogitRows rows = new LogitRows();
        rows.of(plan);
        return rows.count;
    }

    private void add(int token, int sequence, boolean isSampled) {
        if (count == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * count);
            sequences = Arrays.copyOf(sequences, 2 * count);
            sampled = Arrays.copyOf(sampled, 2 * count);
        }
        tokens[count] = token;
        sequences[count] = sequence;
        sampled[count] = isSampled;
        count++;
    }

    int count() {
        return count;
    }

    int token(int row) {
        return tokens[row];
    }

    int sequence(int row) {
        return sequences[row];
    }

    boolean sampled(int row) {
        return sampled[row];
    }
}
