package dev.baton.engine.balance;

import dev.baton.trace.expert.ExpertWriter;
import java.util.List;

/**
 * What the ranks of one JVM counted in a pass, for the JVM that records and measures.
 *
 * @param pass its number, the same on every rank
 * @param recording under which number it is recorded; 0 for not
 * @param ranks how many they are
 * @param logical [layer][expert] tokens, summed over them
 * @param ofRank [layer][expert-parallel rank] the same by where experts lie
 * @param ofRanks each one's own record, where ranks have files of their own; empty otherwise
 */
public record NodePass(long pass, long recording, int ranks, int[][] logical, long[][] ofRank, List<RankPass> ofRanks) {
    public NodePass {
        ofRanks = List.copyOf(ofRanks);
    }

    /**
     * One rank's record.
     *
     * @param layers those that the rank has
     * @param maps physical_to_logical of each
     */
    public record RankPass(int rank, ExpertWriter.Pass pass, int[] layers, int[][] maps) {}
}
