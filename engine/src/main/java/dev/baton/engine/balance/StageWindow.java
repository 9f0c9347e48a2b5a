package dev.baton.engine.balance;

import dev.baton.trace.expert.Placement;
import java.util.Arrays;

/**
 * What the balancer of one pipeline stage has not seen yet: counts of the stage's layers since its last rebalance. Not safe
 * for threads: its owner has a lock.
 */
final class StageWindow {
    private final int layers;
    private final int experts;
    private final int expertRanks;
    private final CountWindow counts;
    /** Of layers of other stages. */
    private final int[] none;
    /** Of the passes in the window and those that it has forgotten. */
    private RankLoads loads;

    private int passes;

    /**
     * @param layers of the model
     * @param mostPasses that are remembered; -1: all
     */
    StageWindow(int layers, int experts, int expertRanks, int mostPasses) {
        this.layers = layers;
        this.experts = experts;
        this.expertRanks = expertRanks;
        this.counts = new CountWindow(mostPasses);
        this.none = new int[experts];
        this.loads = new RankLoads(layers, expertRanks);
    }

    /**
     * A pass whose counts of the stage's layers are complete; one without tokens is none.
     *
     * @param logical [layer][expert]; of other stages' layers it may still be written
     * @param ofRank [layer][rank]
     */
    void add(Iterable<LayerExperts> ofStage, int[][] logical, long[][] ofRank) {
        int[][] pass = new int[layers][];
        Arrays.fill(pass, none);
        long tokens = 0;
        for (LayerExperts each : ofStage) {
            int layer = each.layer();
            pass[layer] = logical[layer];
            loads.add(layer, ofRank[layer]);
            tokens += Arrays.stream(ofRank[layer]).sum();
        }
        if (tokens > 0) {
            counts.add(pass);
            passes++;
        }
    }

    /**
     * The passes since the last rebalance.
     *
     * @param counts [layer][expert] of those that are remembered
     * @param loads [layer][rank] of all of them
     */
    record Taken(long[][] counts, double[][] loads, int passes) {
        /** Of each rank's tokens in all passes together. */
        double balancedness() {
            return Placement.balancedness(loads);
        }
    }

    /** Takes everything; the window begins anew. */
    Taken take() {
        Taken taken = new Taken(counts.sum(layers, experts), loads.sums(), passes);
        counts.clear();
        loads = new RankLoads(layers, expertRanks);
        passes = 0;
        return taken;
    }
}
