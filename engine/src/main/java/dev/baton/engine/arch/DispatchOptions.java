package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import java.util.Locale;

/**
 * How tokens travel to their experts, where they do.
 *
 * @param format how hidden states travel
 * @param maxTokensPerRank rows that each rank can send to each other in low latency mode
 *     ({@code SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK})
 * @param overlap shared experts are computed while results travel ({@code --enable-single-batch-overlap})
 */
public record DispatchOptions(WireFormat format, int maxTokensPerRank, boolean overlap) {
    /** In full precision, 128 rows, nothing overlaps. */
    public static final DispatchOptions DEFAULT = new DispatchOptions(WireFormat.F32, 128, false);

    private static final int MOST = 1024;

    public DispatchOptions {
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
