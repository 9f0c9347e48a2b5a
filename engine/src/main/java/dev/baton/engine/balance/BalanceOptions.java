package dev.baton.engine.balance;

import dev.baton.engine.EngineException;
import dev.baton.trace.expert.EplbAlgorithm;
import dev.baton.trace.expert.InitialLocation;
import org.jspecify.annotations.Nullable;

/**
 * How experts are placed, balanced and recorded.
 *
 * @param location where they lie at first
 * @param redundant slots beyond one an expert
 * @param dispatch which replica a token goes to; null: static where there is anything to choose
 * @param algorithm how to place from counts
 * @param rebalances whether experts move while serving
 * @param iterations forward passes between two rebalances
 * @param layersPerChunk layers moved between two passes; 0 for all at once
 * @param utilisationThreshold a balancedness above which a rebalance is left out
 * @param recorder what is recorded; null for nothing
 * @param bufferPasses passes that the recorder and the balancer remember; -1 for all
 * @param metrics balancedness of each pass in the log
 */
public record BalanceOptions(
        InitialLocation location,
        int redundant,
        @Nullable DispatchAlgorithm dispatch,
        EplbAlgorithm algorithm,
        boolean rebalances,
        int iterations,
        int layersPerChunk,
        double utilisationThreshold,
        @Nullable RecorderMode recorder,
        int bufferPasses,
        boolean metrics) {
    /** One slot an expert, nothing recorded, nothing moved. */
    public static final BalanceOptions NONE = new BalanceOptions(
            new InitialLocation.Trivial(), 0, null, EplbAlgorithm.AUTO, false, 1000, 0, 1.0, null, 1000, false);

    /** @throws EngineException CONFIGURATION naming the flag, the value and the remedy */
    public BalanceOptions {
        atLeast("--ep-num-redundant-experts", redundant, 0);
        atLeast("--eplb-rebalance-num-iterations", iterations, 1);
        atLeast("--eplb-rebalance-layers-per-chunk", layersPerChunk, 0);
        if (bufferPasses != -1) {
            atLeast("--expert-distribution-recorder-buffer-size (-1 for no limit)", bufferPasses, 1);
        }
        if (!(utilisationThreshold >= 0 && utilisationThreshold <= 1)) {
            throw invalid("--eplb-min-rebalancing-utilization-threshold must be from 0 to 1 (1 never skips), got "
                    + utilisationThreshold);
        }
        if (rebalances && bufferPasses > iterations) {
            throw invalid("--eplb-rebalance-num-iterations " + iterations
                    + " is less than --expert-distribution-recorder-buffer-size " + bufferPasses
                    + ": a rebalance would never see the whole buffer; lower the buffer to at most " + iterations);
        }
        if (rebalances && dispatch == DispatchAlgorithm.FAKE) {
            throw invalid(
                    "--enable-eplb with --ep-dispatch-algorithm fake: fake replaces what the gate chose by an even"
                            + " load, so there is nothing to balance; choose static or dynamic");
        }
    }

    /** The dispatch algorithm; null where every expert has the slot of its own number. */
    public @Nullable DispatchAlgorithm effectiveDispatch() {
        if (dispatch != null) {
            return dispatch;
        }
        boolean chooses = rebalances || redundant > 0 || !(location instanceof InitialLocation.Trivial);
        return chooses ? DispatchAlgorithm.STATIC : null;
    }

    /** The recorder's mode: {@code stat} where balancing or metrics need counts. */
    public @Nullable RecorderMode effectiveRecorder() {
        return recorder == null && (rebalances || metrics) ? RecorderMode.STAT : recorder;
    }

    /** Whether passes are counted without anybody asking. */
    boolean alwaysCounts() {
        return rebalances || metrics;
    }

    /** The same with a recorder. */
    public BalanceOptions withRecorder(RecorderMode mode, int passes) {
        return new BalanceOptions(
                location,
                redundant,
                dispatch,
                algorithm,
                rebalances,
                iterations,
                layersPerChunk,
                utilisationThreshold,
                mode,
                passes,
                metrics);
    }

    /** The same with other slots and another choice of replicas. */
    public BalanceOptions withSlots(InitialLocation where, int extra, @Nullable DispatchAlgorithm choice) {
        return new BalanceOptions(
                where,
                extra,
                choice,
                algorithm,
                rebalances,
                iterations,
                layersPerChunk,
                utilisationThreshold,
                recorder,
                bufferPasses,
                metrics);
    }

    /** The same, experts moving. */
    public BalanceOptions withRebalancing(int everyPasses, int chunkLayers, double threshold) {
        return new BalanceOptions(
                location,
                redundant,
                dispatch,
                algorithm,
                true,
                everyPasses,
                chunkLayers,
                threshold,
                recorder,
                Math.min(bufferPasses, everyPasses),
                metrics);
    }

    private static void atLeast(String flag, int value, int least) {
        if (value < least) {
            throw invalid(flag + " must be at least " + least + ", got " + value);
        }
    }

    static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
