package dev.baton.engine.overlap;

import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import java.util.Arrays;
import java.util.List;

/**
 * Cuts a step into two: the first half's tokens come before the second's, in the step's order. Decode steps are cut
 * between sequences. Prefill steps are cut where the tokens balance best between sequences, or, when that leaves a half
 * with less than a share of {@code threshold}, in the middle of the tokens, inside a sequence: the second half then
 * attends to what the first has written, layer by layer.
 *
 * @param first sequences and tokens of the first half
 * @param second of the second half; its prefixes are in the first
 */
public record TwoBatchSplit(StepPlan first, StepPlan second) {
    /**
     * @param threshold the smaller half's least share of the tokens, for a cut between sequences; up to 0.5
     *     ({@code --tbo-token-distribution-threshold})
     */
    public static TwoBatchSplit of(StepPlan plan, double threshold) {
        int tokens = plan.tokens();
        if (plan.mode() == ForwardMode.DECODE) {
            return at(plan, plan.sequences() / 2, 0);
        }
        int best = 0;
        for (int b = 0; b <= plan.sequences(); b++) {
            if (imbalance(plan, b) < imbalance(plan, best)) {
                best = b;
            }
        }
        int smaller = Math.min(plan.tokenStart()[best], tokens - plan.tokenStart()[best]);
        if (smaller >= threshold * tokens) {
            return at(plan, best, 0);
        }
        int middle = tokens / 2;
        int sequence = 0;
        while (sequence < plan.sequences() && plan.tokenStart()[sequence + 1] <= middle) {
            sequence++;
        }
        return at(plan, sequence, sequence == plan.sequences() ? 0 : middle - plan.tokenStart()[sequence]);
    }

    /**
     * Whether a common step of several groups can be computed in halves: those that have anything to do all prefill or
     * all decode, and each has enough for two. Every rank comes to the same answer.
     */
    public static boolean possible(List<StepPlan> plans) {
        ForwardMode common = null;
        for (StepPlan plan : plans) {
            if (plan.tokens() == 0) {
                continue;
            }
            if (plan.tokens() < 2 || common != null && common != plan.mode()) {
                return false;
            }
            common = plan.mode();
        }
        return common != null;
    }

    private static int imbalance(StepPlan plan, int boundary) {
        return Math.abs(plan.tokens() - 2 * plan.tokenStart()[boundary]);
    }

    /** Sequences before {@code boundary} and {@code head} tokens of the next one are the first half. */
    private static TwoBatchSplit at(StepPlan plan, int boundary, int head) {
        return new TwoBatchSplit(
                part(plan, 0, boundary + (head > 0 ? 1 : 0), 0, head), part(plan, boundary, plan.sequences(), head, 0));
    }

    /**
     * @param skipped tokens of the first sequence that are not in the part
     * @param kept tokens of the last sequence that are; 0 for all
     */
    private static StepPlan part(StepPlan plan, int from, int to, int skipped, int kept) {
        int[] tokenStart = new int[to - from + 1];
        int[] starts = Arrays.copyOfRange(plan.starts(), from, to);
        boolean[] samples = Arrays.copyOfRange(plan.samples(), from, to);
        int firstToken = (from < plan.sequences() ? plan.tokenStart()[from] : plan.tokens()) + skipped;
        for (int b = from; b < to; b++) {
            int count = plan.count(b) - (b == from ? skipped : 0);
            boolean cut = kept > 0 && b == to - 1;
            tokenStart[b - from + 1] = tokenStart[b - from] + (cut ? kept : count);
            samples[b - from] &= !cut;
        }
        if (starts.length > 0) {
            starts[0] += skipped;
        }
        int lastToken = firstToken + tokenStart[to - from];
        return new StepPlan(
                plan.step(),
                plan.mode(),
                Arrays.copyOfRange(plan.rows(), from, to),
                tokenStart,
                starts,
                Arrays.copyOfRange(plan.slots(), firstToken, lastToken),
                Arrays.copyOfRange(plan.inputIds(), firstToken, lastToken),
                from == 0 && skipped == 0 ? plan.prefixes() : List.of(),
                samples,
                Arrays.copyOfRange(plan.sampling(), from, to),
                Arrays.copyOfRange(plan.seeds(), from, to),
                Arrays.copyOfRange(plan.logprobs(), from, to),
                Arrays.copyOfRange(plan.promptTokens(), from, to),
                Arrays.copyOfRange(plan.matchers(), from, to));
    }
}
