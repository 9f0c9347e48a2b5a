package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import java.util.Locale;

/**
 * How tokens travel to their experts, where they do.
 *
 * @param format how hidden states travel
 * @param maxTokensPerRank rows that each rank can send to each other in low latency mode
 *     ({@code SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK})
 * @param overlap what is computed while tokens and results travel
 * @param tokenThreshold least share of a prefill step's tokens in the smaller of two halves that are cut between
 *     sequences ({@code --tbo-token-distribution-threshold})
 */
public record DispatchOptions(WireFormat format, int maxTokensPerRank, Overlap overlap, double tokenThreshold) {
    /** In full precision, 128 rows, nothing overlaps. */
    public static final DispatchOptions DEFAULT = new DispatchOptions(WireFormat.F32, 128, Overlap.NONE);

    private static final int MOST = 1024;

    /** What goes on while tokens travel. */
    public enum Overlap {
        /** Nothing. */
        NONE,
        /** The shared experts of the same tokens ({@code --enable-single-batch-overlap}). */
        SINGLE_BATCH,
        /** The other half of the batch ({@code --enable-two-batch-overlap}). */
        TWO_BATCH
    }

    /** With SGLang's threshold. */
    public DispatchOptions(WireFormat format, int maxTokensPerRank, Overlap overlap) {
        this(format, maxTokensPerRank, overlap, 0.48);
    }

    public DispatchOptions {
        if (!(tokenThreshold >= 0 && tokenThreshold <= 0.5)) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--tbo-token-distribution-threshold must be from 0 to 0.5, got " + tokenThreshold);
        }
        if (maxTokensPerRank < 1 || maxTokensPerRank > MOST) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK must be from 1 to " + MOST + ", got "
                            + maxTokensPerRank);
        }
    }

    /**
     * Refuses steps that the fixed buffers cannot hold.
     *
     * @param stepTokens most tokens of a group's step
     * @param runningRequests most tokens of a group's decode step
     * @param attentionRanks ranks that share them
     */
    public void requireFits(AllToAll mode, int stepTokens, int runningRequests, int attentionRanks) {
        int most = switch (mode) {
            case NONE, NORMAL -> 0;
            case AUTO -> runningRequests;
            case LOW_LATENCY -> stepTokens;
        };
        int each = (most + attentionRanks - 1) / attentionRanks;
        if (each > maxTokensPerRank) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--deepep-mode " + mode.name().toLowerCase(Locale.ROOT) + ": a step has up to " + most
                            + " tokens on " + attentionRanks + " ranks, " + each + " each, and the fixed buffers hold "
                            + maxTokensPerRank
                            + " (SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK); raise it, or lower "
                            + (mode == AllToAll.AUTO
                                    ? "--max-running-requests"
                                    : "--chunked-prefill-size and --max-running-requests, or use --deepep-mode auto"));
        }
    }
}
