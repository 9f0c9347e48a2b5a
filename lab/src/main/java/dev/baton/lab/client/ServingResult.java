package dev.baton.lab.client;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What a run of the serving benchmark found.
 *
 * @param config the flags it ran with
 * @param metrics the figures
 * @param acceptLength mean accepted length of speculation, or null
 * @param serverInfo the answer of {@code /get_server_info}, or null
 * @param outcomes every request, in the workload's order
 */
public record ServingResult(
        ServingBenchmarkConfig config,
        ServingMetrics metrics,
        @Nullable Double acceptLength,
        @Nullable JsonNode serverInfo,
        List<RequestOutcome> outcomes) {
    public ServingResult {
        outcomes = List.copyOf(outcomes);
    }

    /** The console table, lines ended by LF. */
    public String table() {
        return ServingTable.render(this);
    }

    /** The record of the result file: SGLang's keys in SGLang's order, then {@code failed} and {@code cell}. */
    public JsonNode record() {
        return ServingRecord.of(this);
    }

    /** The record as one line without its end; an infinite request rate is the bare word {@code Infinity}. */
    public String recordLine() {
        return ServingRecord.line(this);
    }
}
