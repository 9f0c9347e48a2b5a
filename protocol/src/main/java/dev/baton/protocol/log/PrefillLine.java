package dev.baton.protocol.log;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One prefill batch.
 *
 * @param newSequences sequences in the batch
 * @param newTokens tokens that it computes
 * @param cachedTokens tokens found in the prefix cache
 * @param tokenUsage used part of the KV pool, 0 to 1
 * @param runningRequests in decode
 * @param queuedRequests still waiting after this batch was taken
 * @param prefillRole on a prefill server only
 */
public record PrefillLine(
        int newSequences,
        long newTokens,
        long cachedTokens,
        double tokenUsage,
        int runningRequests,
        int queuedRequests,
        @Nullable PrefillRole prefillRole) {
    private static final String TITLE = "Prefill batch";

    /**
     * @param bootstrapRequests waiting for the decode side's pages
     * @param inflightRequests whose KV is on its way
     * @param inputThroughput tokens/s: the batch before this one over the time between the two lines
     */
    public record PrefillRole(int bootstrapRequests, int inflightRequests, double inputThroughput) {}

    /** The message, without prefix; it ends in a comma and a space. */
    public String format() {
        String line = TITLE + ", #new-seq: " + newSequences + ", #new-token: " + newTokens + ", #cached-token: "
                + cachedTokens + ", token usage: " + LogFields.fixed(tokenUsage, 2) + ", #running-req: "
                + runningRequests + ", #queue-req: " + queuedRequests + ", ";
        if (prefillRole != null) {
            line += "#prealloc-req: " + prefillRole.bootstrapRequests + ", #inflight-req: "
                    + prefillRole.inflightRequests + ", input throughput (token/s): "
                    + LogFields.fixed(prefillRole.inputThroughput, 2) + ", ";
        }
        return line;
    }

    /** Reads a line, with prefix or without, of this form or the older one with a full stop after "batch". */
    public static Optional<PrefillLine> parse(String line) {
        LogFields f = LogFields.after(TITLE, line);
        if (f == null) {
            return Optional.empty();
        }
        PrefillRole role = f.has("#inflight-req")
                ? new PrefillRole(
                        (int) f.number("#prealloc-req"),
                        (int) f.number("#inflight-req"),
                        f.decimal("input throughput (token/s)"))
                : null;
        return Optional.of(new PrefillLine(
                (int) f.number("#new-seq"),
                f.number("#new-token"),
                f.number("#cached-token"),
                f.decimal(f.has("token usage") ? "token usage" : "full token usage"),
                (int) f.number("#running-req"),
                (int) f.number("#queue-req"),
                role));
    }
}
