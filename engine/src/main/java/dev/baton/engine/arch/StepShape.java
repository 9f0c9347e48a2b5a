package dev.baton.engine.arch;

import java.util.Arrays;

/**
 * What every rank of a replica knows of a step before it begins: how much each attention group brings. All ranks are
 * given equal shapes, so that all execute the same collectives. Never written after construction.
 *
 * @param tokens [groups] tokens of each group, 0 for one that only takes part
 * @param wanted [groups] rows of each group whose logits are computed
 * @param prefills whether any group prefills
 * @param halves whether every rank computes the step in two halves
 */
public record StepShape(int[] tokens, int[] wanted, boolean prefills, boolean halves) {
    /** A step in one piece. */
    public StepShape(int[] tokens, int[] wanted, boolean prefills) {
        this(tokens, wanted, prefills, false);
    }

    /** The same step in two halves. */
    public StepShape inHalves() {
        return new StepShape(tokens, wanted, prefills, true);
    }

    /** A replica of one group. */
    public static StepShape single(int tokens, int wanted, boolean prefills) {
        return new StepShape(new int[] {tokens}, new int[] {wanted}, prefills);
    }

    /** Attention groups. */
    public int groups() {
        return tokens.length;
    }

    /** Tokens of all groups. */
    public int totalTokens() {
        return Arrays.stream(tokens).sum();
    }

    /** How the groups' tokens lie in a buffer of all. */
    Gathered ofTokens(int attentionRanks) {
        return Gathered.of(tokens, attentionRanks, prefills);
    }

    /** The same after all rows but the wanted ones were dropped. */
    Gathered ofWanted(int attentionRanks) {
        return Gathered.of(wanted, attentionRanks, prefills);
    }

    /** The same of rows {@code [from, from + most)} of every group's wanted rows. */
    Gathered ofWanted(int attentionRanks, int from, int most) {
        int[] counts = new int[wanted.length];
        for (int g = 0; g < counts.length; g++) {
            counts[g] = Math.clamp(wanted[g] - from, 0, most);
        }
        return Gathered.of(counts, attentionRanks, prefills);
    }

    /**
     * Rows of all groups in one buffer.
     *
     * @param counts [groups] rows with content
     * @param offsets [groups] where each begins
     * @param total rows of the buffer
     * @param padded rows that every group has, when all have equally many (gathered by all-gather); 0 when each has its
     *     own number (gathered by a sum over zeroed buffers)
     */
    record Gathered(int[] counts, int[] offsets, int total, int padded) {
        /**
         * As SGLang chooses: equal parts unless someone prefills or padding would more than double the rows.
         *
         * @param attentionRanks an equal part divides over them
         */
        static Gathered of(int[] counts, int attentionRanks, boolean prefills) {
            int groups = counts.length;
            int sum = Arrays.stream(counts).sum();
            int most = Arrays.stream(counts).max().orElse(0);
            int part = (most + attentionRanks - 1) / attentionRanks * attentionRanks;
            boolean equal = !prefills && sum > 0 && 2L * sum > (long) part * groups;
            int[] offsets = new int[groups];
            int next = 0;
            for (int g = 0; g < groups; g++) {
                offsets[g] = next;
                next += equal ? part : counts[g];
            }
            return new Gathered(counts, offsets, next, equal ? part : 0);
        }
    }
}
