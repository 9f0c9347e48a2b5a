package dev.baton.engine.balance;

import dev.baton.trace.expert.ExpertWriter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Recorded passes of each rank, where ranks have files of their own. Ranks of several pipeline stages that compute the
 * same tokens, one after the other, make one record of all layers together. Not safe for threads: its owner has a lock.
 */
final class RankRecords {
    private final int stages;
    /** -1: all. */
    private final int mostPasses;

    private final List<ArrayDeque<ExpertWriter.Pass>> ofRanks = new ArrayList<>();
    private final int[][] physicalToLogical;

    /** @param ranks of the replica, stage by stage */
    RankRecords(int ranks, int stages, int layers, int mostPasses) {
        this.stages = stages;
        this.mostPasses = mostPasses;
        this.physicalToLogical = new int[layers][0];
        for (int rank = 0; rank < ranks; rank++) {
            ofRanks.add(new ArrayDeque<>());
        }
    }

    void add(NodePass.RankPass record) {
        ArrayDeque<ExpertWriter.Pass> own = ofRanks.get(record.rank());
        if (mostPasses >= 0 && own.size() == mostPasses) {
            own.removeFirst();
        }
        own.addLast(record.pass());
        for (int i = 0; i < record.layers().length; i++) {
            physicalToLogical[record.layers()[i]] = record.maps()[i];
        }
    }

    void clear() {
        ofRanks.forEach(ArrayDeque::clear);
    }

    /** [layer][slot] at the last pass. */
    int[][] physicalToLogical() {
        return physicalToLogical.clone();
    }

    /** The passes of each rank of a stage, all layers. Every rank must have handed over the same passes. */
    List<List<ExpertWriter.Pass>> whole() {
        int inStage = ofRanks.size() / stages;
        List<List<ExpertWriter.Pass>> all = new ArrayList<>();
        for (int rank = 0; rank < inStage; rank++) {
            List<Map<Long, ExpertWriter.Pass>> later = new ArrayList<>();
            for (int stage = 1; stage < stages; stage++) {
                Map<Long, ExpertWriter.Pass> byNumber = new HashMap<>();
                ofRanks.get(stage * inStage + rank).forEach(pass -> byNumber.put(pass.pass(), pass));
                later.add(byNumber);
            }
            List<ExpertWriter.Pass> passes = new ArrayList<>();
            for (ExpertWriter.Pass first : ofRanks.get(rank)) {
                ExpertWriter.Pass whole = first;
                for (Map<Long, ExpertWriter.Pass> stage : later) {
                    whole = merged(whole, Objects.requireNonNull(stage.get(first.pass())));
                }
                passes.add(whole);
            }
            all.add(passes);
        }
        return all;
    }

    /** Layers of the one stage and of the other; what is known of tokens, the first stage knows. */
    private static ExpertWriter.Pass merged(ExpertWriter.Pass first, ExpertWriter.Pass later) {
        int[][] physical = first.physical().clone();
        for (int layer = 0; layer < physical.length; layer++) {
            int[] sum = physical[layer].clone();
            for (int slot = 0; slot < sum.length; slot++) {
                sum[slot] += later.physical()[layer][slot];
            }
            physical[layer] = sum;
        }
        ExpertWriter.Tokens tokens = first.tokens();
        ExpertWriter.Tokens others = later.tokens();
        if (tokens == null || others == null) {
            return new ExpertWriter.Pass(first.pass(), physical, tokens);
        }
        int[][][] chosen = tokens.chosen().clone();
        for (int layer = 0; layer < chosen.length; layer++) {
            if (others.chosen()[layer].length > 0) {
                chosen[layer] = others.chosen()[layer];
            }
        }
        return new ExpertWriter.Pass(
                first.pass(),
                physical,
                new ExpertWriter.Tokens(
                        tokens.inputIds(), tokens.positions(), tokens.extendLengths(), tokens.mode(), chosen));
    }
}
