package dev.baton.engine.balance;

import dev.baton.trace.expert.ExpertWriter;
import java.lang.System.Logger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
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
    private final RanksHere here;
    private final BalanceOptions options;
    /** On a JVM that does not record: takes what its ranks counted. */
    private volatile @Nullable Consumer<NodePass> recordsElsewhere;

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
        /** Of the ranks here. */
        final int[][] logical;

        final long[][] ofRank;
        /** Ranks of each stage that live here. */
        final int[] missing;

        int missingHere;
        long recording;
        /** Each one's own record, for the JVM that records. */
        final List<NodePass.RankPass> records = new ArrayList<>();
        /** What other JVMs have told. */
        final List<NodePass> others = new ArrayList<>();

        Pass(int layers, int experts, int expertRanks, int[] ranksOfStages) {
            logical = new int[layers][experts];
            ofRank = new long[layers][expertRanks];
            missing = ranksOfStages;
            missingHere = Arrays.stream(ranksOfStages).sum();
        }

        int ranksElsewhere() {
            return others.stream().mapToInt(NodePass::ranks).sum();
        }
    }

    /**
     * @param layers of the model
     * @param experts of a layer
     * @param expertRanks over which they are spread
     * @param stages of the pipeline
     * @param stageRanks ranks of each stage
     * @param here those of them in this JVM
     */
    ExpertStatistics(
            int layers,
            int experts,
            int expertRanks,
            int stages,
            int stageRanks,
            RanksHere here,
            BalanceOptions options) {
        this.layers = layers;
        this.experts = experts;
        this.expertRanks = expertRanks;
        this.stages = stages;
        this.stageRanks = stageRanks;
        this.here = here;
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
        Pass sum = pass(pass);
        sum.recording = recording;
        for (LayerExperts layer : located) {
            int l = layer.layer();
            LayerLocation location = layer.location();
            for (int slot = 0; slot < location.slots(); slot++) {
                int count = physical[l][slot];
                sum.logical[l][location.expertAt(slot)] += count;
                sum.ofRank[l][location.rankOf(slot)] += count;
            }
        }
        if (recording != 0 && isPerRank()) {
            keep(recording, record(rank, new ExpertWriter.Pass(pass, copy(physical), tokens), located), sum);
        }
        int stage = rank / stageRanks;
        if (--sum.missing[stage] == 0 && options.rebalances()) {
            balanceWindows.get(stage).add(located, sum.logical, sum.ofRank);
        }
        sum.missingHere--;
        end(pass, sum);
    }

    private Pass pass(long number) {
        return open.computeIfAbsent(number, p -> {
            int[] ranksOfStages = new int[stages];
            Arrays.setAll(ranksOfStages, stage -> here.among(stage * stageRanks, stageRanks));
            return new Pass(layers, experts, expertRanks, ranksOfStages);
        });
    }

    /** Another JVM's ranks have ended a pass. */
    public synchronized void deliver(NodePass other) {
        Pass sum = pass(other.pass());
        sum.others.add(other);
        other.ofRanks().forEach(record -> keep(other.recording(), record, sum));
        end(other.pass(), sum);
    }

    /** Where another JVM records and measures: how it is told. */
    public void recordElsewhere(Consumer<NodePass> teller) {
        recordsElsewhere = teller;
    }

    private static NodePass.RankPass record(int rank, ExpertWriter.Pass pass, Collection<LayerExperts> located) {
        int[] layers = located.stream().mapToInt(LayerExperts::layer).toArray();
        int[][] maps = located.stream()
                .map(layer -> layer.location().physicalToLogical())
                .toArray(int[][]::new);
        return new NodePass.RankPass(rank, pass, layers, maps);
    }

    private void keep(long recording, NodePass.RankPass record, Pass sum) {
        if (!here.records()) {
            sum.records.add(record);
        } else if (recording == recordingNumber) {
            recordedOfRanks.add(record);
        }
    }

    /** Whether somebody wants the pass of all ranks together: beside balancers, which sum up themselves. */
    private boolean isWhole(Pass sum) {
        return options.metrics() || sum.recording != 0;
    }

    private void end(long pass, Pass sum) {
        if (sum.missingHere > 0) {
            return;
        }
        if (!isWhole(sum)) {
            open.remove(pass);
            return;
        }
        Consumer<NodePass> teller = recordsElsewhere;
        if (teller != null) {
            open.remove(pass);
            teller.accept(new NodePass(pass, sum.recording, here.count(), sum.logical, sum.ofRank, sum.records));
        } else if (sum.ranksElsewhere() == here.elsewhere()) {
            open.remove(pass);
            completed(pass, sum.recording, whole(sum));
        }
    }

    /** The balancer's windows keep what the ranks here counted: others are added to a copy. */
    private Pass whole(Pass sum) {
        if (sum.others.isEmpty()) {
            return sum;
        }
        Pass whole = new Pass(layers, experts, expertRanks, new int[stages]);
        for (int layer = 0; layer < layers; layer++) {
            add(sum.logical[layer], whole.logical[layer]);
            add(sum.ofRank[layer], whole.ofRank[layer]);
            for (NodePass other : sum.others) {
                add(other.logical()[layer], whole.logical[layer]);
                add(other.ofRank()[layer], whole.ofRank[layer]);
            }
        }
        return whole;
    }

    private static void add(int[] from, int[] to) {
        for (int i = 0; i < from.length; i++) {
            to[i] += from[i];
        }
    }

    private static void add(long[] from, long[] to) {
        for (int i = 0; i < from.length; i++) {
            to[i] += from[i];
        }
    }

    /** Whether every rank of a stage lives here. */
    boolean hasWhole(int stage) {
        return here.among(stage * stageRanks, stageRanks) == stageRanks;
    }

    /** Whether the rank speaks for those of its stage that live here. */
    boolean isFirstHere(int rank) {
        return here.isFirstOfStage(rank, stageRanks);
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
