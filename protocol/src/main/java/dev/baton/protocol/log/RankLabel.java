package dev.baton.protocol.log;

/**
 * Which rank speaks, as in {@code DP0 TP0 EP0}. A negative number leaves a part out: a size of 1 has no part.
 *
 * @param dp data-parallel rank
 * @param pp pipeline rank
 * @param tp tensor-parallel rank
 * @param ep expert-parallel rank
 */
public record RankLabel(int dp, int pp, int tp, int ep) {
    /** A process of one rank: no label. */
    public static final RankLabel NONE = new RankLabel(-1, -1, -1, -1);

    /** Every part with a space before it, in the fixed order; empty for {@link #NONE}. */
    public String format() {
        StringBuilder text = new StringBuilder();
        part(text, "DP", dp);
        part(text, "PP", pp);
        part(text, "TP", tp);
        part(text, "EP", ep);
        return text.toString();
    }

    /** Reads what {@link #format} writes; unknown parts are passed over. */
    static RankLabel parse(String text) {
        int[] ranks = {-1, -1, -1, -1};
        for (String part : text.strip().split(" +")) {
            int at = part.length() < 3 ? -1 : "DP PP TP EP".indexOf(part.substring(0, 2));
            if (at >= 0 && at % 3 == 0) {
                ranks[at / 3] = Integer.parseInt(part, 2, part.length(), 10);
            }
        }
        return new RankLabel(ranks[0], ranks[1], ranks[2], ranks[3]);
    }

    private static void part(StringBuilder text, String name, int rank) {
        if (rank >= 0) {
            text.append(' ').append(name).append(rank);
        }
    }
}
