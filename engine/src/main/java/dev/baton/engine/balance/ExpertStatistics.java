package dev.baton.engine.balance;

import dev.baton.trace.expert.ExpertWriter;
import java.lang.System.Logger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Counts of one replica's passes: every rank hands over its own after each pass. What the last rank of a pipeline stage
 * completes goes to that stage's balancer, what the last of all completes to the recorder and the balancedness meter. Safe
 * for threads.
 */
public final class ExpertStatistics {
    private static final Logger LOG = System.getLogger(ExpertStatistics.class.getName());

    private final int layers;
    private final int experts;
    private final int expertRanks;
    private final int stages;
    private final int stageRanks;
    private final BalanceOptions options;

    private final Map<Long, Pass> open = new HashMap<>();
    /** One a stage. */
    private final List<StageWindow> balanceWindows = new ArrayList<>();

    private final CountWindow recorded;
    private RankLoads recordedLoads;
    private final RankRecords recordedOfRanks;
    private final BalancednessMeter meter = new BalancednessMeter();
    private long recordingNumber;
    private double recordedUtilisation;
    private int recordedPasses;

    /** A pass that not all ranks have handed over yet. */
    private static final class Pass {
        final int[][] logical;
        final long[][] ofRank;
        /** Ranks of each stage. */
        final int[] missing;

        int missingStages;

        Pass(int layers, int experts, int expertRanks, int stages, int stageRanks) {
            logical = new int[layers][experts];
            ofRank = new long[layers][expertRanks];
            missing = new int[stages];
            Arrays.fill(missing, stageRanks);
            missingStages = stages;
        }
    }

    /**
     * @param layers of the model
     * @param experts of a layer
     * @param expertRanks over which they are spread
     * @param stages of the pipeline
     * @param stageRanks ranks of each stage
     */
    ExpertStatistics(int layers, int experts, int expertRanks, int stages, int stageRanks, BalanceOptions options) {
        this.layers = layers;
        this.experts = experts;
        this.expertRanks = expertRanks;
        this.stages = stages;
        this.stageRanks = stageRanks;
        this.options = options;
        this.recorded = new CountWindow(options.bufferPasses());
        this.recordedLoads = new RankLoads(layers, expertRanks);
        this.recordedOfRanks = new RankRecords(stages * stageRanks, stages, layers, options.bufferPasses());
        for (int stage = 0; stage < stages; stage++) {
            balanceWindows.add(new StageWindow(layers, experts, expertRanks, options.bufferPasses()));
        }
    }

    /** Stages of the pipeline. */
    int stages() {
        return stages;
    }

    /** Layers of the model, dense ones included. */
    int layers() {
        return layers;
    }

    /** Experts of a layer. */
    int experts() {
        return experts;
    }

    /**
     * @param recording under which number the pass is recorded; 0 for not
     * @param physical [layer][slot]; copied
     * @param located where the rank's layers lay in this pass
     */
    synchronized void deliver(
            int rank,
            long pass,
            long recording,
            int[][] physical,
            Collection<LayerExperts> located,
            ExpertWriter.@Nullable Tokens tokens) {
        Pass sum = open.computeIfAbsent(pass, p -> new Pass(layers, experts, expertRanks, stages, stageRanks));
        for (LayerExperts layer : located) {
            int l = layer.layer();
            LayerLocation location = layer.location();
            for (int slot = 0; slot < location.slots(); slot++) {
                int count = physical[l][slot];
                sum.logical[l][location.expertAt(slot)] += count;
                sum.ofRank[l][location.rankOf(slot)] += count;
            }
        }
        if (recording != 0 && recording == recordingNumber && isPerRank()) {
            recordedOfRanks.add(rank, new ExpertWriter.Pass(pass, copy(physical), tokens), located);
        }
        int stage = rank / stageRanks;
        if (--sum.missing[stage] > 0) {
            return;
        }
        if (options.rebalances()) {
            balanceWindows.get(stage).add(located, sum.logical, sum.ofRank);
        }
        if (--sum.missingStages == 0) {
            open.remove(pass);
            completed(pass, recording, sum);
        }
    }

    private boolean isPerRank() {
        RecorderMode mode = options.effectiveRecorder();
        return mode != null && mode.isPerRank();
    }

    private static int[][] copy(int[][] rows) {
        int[][] copy = new int[rows.length][];
        for (int i = 0; i < rows.length; i++) {
            copy[i] = rows[i].clone();
        }
        return copy;
    }

    private void completed(long pass, long recording, Pass sum) {
        String line = meter.measured(pass, sum.ofRank);
        if (line.isEmpty()) {
            return;
        }
        if (options.metrics()) {
            LOG.log(Logger.Level.INFO, line);
        }
        if (recording != 0 && recording == recordingNumber) {
            for (int layer = 0; layer < layers; layer++) {
                recordedLoads.add(layer, sum.ofRank[layer]);
            }
            recordedUtilisation += meter.last();
            recordedPasses++;
            if (!isPerRank()) {
                recorded.add(sum.logical);
            }
        }
    }

    /** Forgets what was recorded; from now on passes of this number are. */
    public synchronized void begin(long recording) {
        recordingNumber = recording;
        forget();
    }

    private void forget() {
        recorded.clear();
        recordedOfRanks.clear();
        recordedLoads = new RankLoads(layers, expertRanks);
        recordedUtilisation = 0;
        recordedPasses = 0;
    }

    /** Balancedness of the last passes, at most {@code window}; NaN where none was counted. */
    public synchronized double balancedness(int window) {
        return meter.average(window);
    }

    /** Takes what the balancer of a stage has not seen yet; it begins anew. */
    synchronized StageWindow.Taken takeBalanceWindow(int stage) {
        return balanceWindows.get(stage).take();
    }

    /**
     * What was recorded since the start or the last dump.
     *
     * @param passes [layer][expert] of each; empty where ranks have files of their own
     * @param ofRanks [rank of a stage] passes, all layers
     * @param rankLoads [layer][rank] tokens that each expert-parallel rank computed in all of them
     * @param physicalToLogical [layer][slot] at the last of them
     * @param utilisation mean balancedness of the passes
     */
    public record Recording(
            List<int[][]> passes,
            List<List<ExpertWriter.Pass>> ofRanks,
            double[][] rankLoads,
            int[][] physicalToLogical,
            double utilisation) {
        /** Passes recorded. */
        public int size() {
            return Math.max(
                    passes.size(), ofRanks.stream().mapToInt(List::size).max().orElse(0));
        }
    }

    /** Takes what was recorded; recording goes on with nothing. */
    public synchronized Recording take() {
        Recording taken = new Recording(
                recorded.take(),
                recordedOfRanks.whole(),
                recordedLoads.sums(),
                recordedOfRanks.physicalToLogical(),
                recordedPasses == 0 ? Double.NaN : recordedUtilisation / recordedPasses);
        forget();
        return taken;
    }
}
