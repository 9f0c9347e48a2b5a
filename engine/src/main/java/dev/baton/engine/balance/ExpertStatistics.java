package dev.baton.engine.balance;

import dev.baton.trace.expert.ExpertWriter;
import dev.baton.trace.expert.Placement;
import java.lang.System.Logger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Counts of one replica's passes: every rank hands over its own after each pass, and what the last of them completes goes
 * to whoever asked: recorder, balancer, balancedness meter. Safe for threads.
 */
public final class ExpertStatistics {
    private static final Logger LOG = System.getLogger(ExpertStatistics.class.getName());

    private final int layers;
    private final int experts;
    private final int expertRanks;
    private final int replicaRanks;
    private final BalanceOptions options;

    private final Map<Long, Pass> open = new HashMap<>();
    private final CountWindow balanceWindow;
    /** [layer][rank] tokens of the passes in the balance window and those that it has forgotten. */
    private long[][] balanceLoads;

    private int balancePasses;
    private final CountWindow recorded;
    /** [layer][rank] tokens of the recorded passes. */
    private long[][] recordedLoads;

    /** [rank] passes of each rank, where ranks write files of their own. */
    private final List<ArrayDeque<ExpertWriter.Pass>> recordedOfRanks = new ArrayList<>();

    private final BalancednessMeter meter = new BalancednessMeter();
    private int[][] lastPhysicalToLogical;
    private long recordingNumber;
    private double recordedUtilisation;
    private int recordedPasses;

    /** A pass that not all ranks have handed over yet. */
    private static final class Pass {
        final int[][] logical;
        final long[][] ofRank;
        int missing;

        Pass(int layers, int experts, int expertRanks, int ranks) {
            logical = new int[layers][experts];
            ofRank = new long[layers][expertRanks];
            missing = ranks;
        }
    }

    ExpertStatistics(int layers, int experts, int expertRanks, int replicaRanks, BalanceOptions options) {
        this.layers = layers;
        this.experts = experts;
        this.expertRanks = expertRanks;
        this.replicaRanks = replicaRanks;
        this.options = options;
        this.balanceWindow = new CountWindow(options.bufferPasses());
        this.balanceLoads = new long[layers][expertRanks];
        this.recorded = new CountWindow(options.bufferPasses());
        this.recordedLoads = new long[layers][expertRanks];
        this.lastPhysicalToLogical = new int[layers][0];
        for (int r = 0; r < replicaRanks; r++) {
            recordedOfRanks.add(new ArrayDeque<>());
        }
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
        Pass sum = open.computeIfAbsent(pass, p -> new Pass(layers, experts, expertRanks, replicaRanks));
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
            keep(rank, new ExpertWriter.Pass(pass, copy(physical), tokens), located);
        }
        if (--sum.missing == 0) {
            open.remove(pass);
            completed(pass, recording, sum);
        }
    }

    private boolean isPerRank() {
        RecorderMode mode = options.effectiveRecorder();
        return mode != null && mode.isPerRank();
    }

    private void keep(int rank, ExpertWriter.Pass pass, Collection<LayerExperts> located) {
        ArrayDeque<ExpertWriter.Pass> own = recordedOfRanks.get(rank);
        if (options.bufferPasses() >= 0 && own.size() == options.bufferPasses()) {
            own.removeFirst();
        }
        own.addLast(pass);
        for (LayerExperts layer : located) {
            lastPhysicalToLogical[layer.layer()] = layer.location().physicalToLogical();
        }
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
        if (options.rebalances()) {
            balanceWindow.add(sum.logical);
            balancePasses++;
            add(sum.ofRank, balanceLoads);
        }
        if (recording != 0 && recording == recordingNumber) {
            add(sum.ofRank, recordedLoads);
            recordedUtilisation += meter.last();
            recordedPasses++;
            if (!isPerRank()) {
                recorded.add(sum.logical);
            }
        }
    }

    private static void add(long[][] ofPass, long[][] sums) {
        for (int layer = 0; layer < sums.length; layer++) {
            for (int rank = 0; rank < sums[layer].length; rank++) {
                sums[layer][rank] += ofPass[layer][rank];
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
        recordedOfRanks.forEach(ArrayDeque::clear);
        recordedLoads = new long[layers][expertRanks];
        recordedUtilisation = 0;
        recordedPasses = 0;
    }

    /** Balancedness of the last passes, at most {@code window}; NaN where none was counted. */
    public synchronized double balancedness(int window) {
        return meter.average(window);
    }

    /**
     * The passes since the last rebalance.
     *
     * @param counts [layer][expert] of those that are remembered
     * @param loads [layer][rank] of all of them
     */
    record BalanceWindow(long[][] counts, long[][] loads, int passes) {
        /** Of each rank's tokens in all passes together. */
        double balancedness() {
            return Placement.balancedness(doubles(loads));
        }
    }

    private static double[][] doubles(long[][] loads) {
        return Arrays.stream(loads)
                .map(layer -> Arrays.stream(layer).asDoubleStream().toArray())
                .toArray(double[][]::new);
    }

    /** Takes what the balancer has not seen yet; it begins anew. */
    synchronized BalanceWindow takeBalanceWindow() {
        BalanceWindow window = new BalanceWindow(balanceWindow.sum(layers, experts), balanceLoads, balancePasses);
        balanceWindow.clear();
        balanceLoads = new long[layers][expertRanks];
        balancePasses = 0;
        return window;
    }

    /**
     * What was recorded since the start or the last dump.
     *
     * @param passes [layer][expert] of each; empty where ranks have files of their own
     * @param ofRanks [rank] passes
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
        List<List<ExpertWriter.Pass>> ofRanks = new ArrayList<>();
        recordedOfRanks.forEach(own -> ofRanks.add(new ArrayList<>(own)));
        Recording taken = new Recording(
                recorded.take(),
                ofRanks,
                doubles(recordedLoads),
                lastPhysicalToLogical.clone(),
                recordedPasses == 0 ? Double.NaN : recordedUtilisation / recordedPasses);
        forget();
        return taken;
    }
}
