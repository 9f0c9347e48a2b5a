package dev.baton.protocol.log;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Every n-th decode step.
 *
 * @param runningRequests in the batch
 * @param tokens used KV tokens
 * @param tokenUsage used part of the KV pool, 0 to 1
 * @param decodeRole on a decode server only
 * @param cuda which word stands before the graph flag: {@code cuda graph} or {@code cpu graph}
 * @param graph whether the step was a graph replay
 * @param generationThroughput tokens/s of this rank since the line before, idle and prefill time included
 * @param queuedRequests waiting
 */
public record DecodeLine(
        int runningRequests,
        long tokens,
        double tokenUsage,
        @Nullable DecodeRole decodeRole,
        boolean cuda,
        boolean graph,
        double generationThroughput,
        int queuedRequests) {
    private static final String TITLE = "Decode batch";

    /**
     * @param preallocatedUsage part of the KV pool that requests in transfer hold, 0 to 1
     * @param preallocRequests waiting for KV space
     * @param transferRequests whose KV is on its way
     * @param retractedRequests waiting to come back after a retraction
     */
    public record DecodeRole(
            double preallocatedUsage, int preallocRequests, int transferRequests, int retractedRequests) {}

    /** The message, without prefix; it ends in a comma and a space. */
    public String format() {
        StringBuilder line = new StringBuilder(TITLE)
                .append(", #running-req: ")
                .append(runningRequests)
                .append(", #token: ")
                .append(tokens)
                .append(", token usage: ")
                .append(LogFields.fixed(tokenUsage, 2))
                .append(", ");
        if (decodeRole != null) {
            line.append("pre-allocated usage: ")
                    .append(LogFields.fixed(decodeRole.preallocatedUsage, 2))
                    .append(", #prealloc-req: ")
                    .append(decodeRole.preallocRequests)
                    .append(", #transfer-req: ")
                    .append(decodeRole.transferRequests)
                    .append(", #retracted-req: ")
                    .append(decodeRole.retractedRequests)
                    .append(", ");
        }
        return line.append(cuda ? "cuda" : "cpu")
                .append(" graph: ")
                .append(LogFields.flagText(graph))
                .append(", gen throughput (token/s): ")
                .append(LogFields.fixed(generationThroughput, 2))
                .append(", #queue-req: ")
                .append(queuedRequests)
                .append(", ")
                .toString();
    }

    /** Reads a line, with prefix or without, of this form or the older one with a full stop after "batch". */
    public static Optional<DecodeLine> parse(String line) {
        LogFields f = LogFields.after(TITLE, line);
        if (f == null) {
            return Optional.empty();
        }
        DecodeRole role = f.has("pre-allocated usage")
                ? new DecodeRole(
                        f.decimal("pre-allocated usage"),
                        (int) f.number("#prealloc-req"),
                        (int) f.number("#transfer-req"),
                        (int) f.number("#retracted-req"))
                : null;
        boolean cuda = f.has("cuda graph");
        return Optional.of(new DecodeLine(
                (int) f.number("#running-req"),
                f.number(f.has("#token") ? "#token" : "#full token"),
                f.decimal(f.has("token usage") ? "token usage" : "full token usage"),
                role,
                cuda,
                f.flag(cuda ? "cuda graph" : "cpu graph"),
                f.decimal("gen throughput (token/s)"),
                (int) f.number("#queue-req")));
    }
}
