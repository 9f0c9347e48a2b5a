package dev.baton.trace.reconcile;

import dev.baton.trace.TraceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a benchmark client measured, from its JSONL.
 *
 * @param file it stands in
 * @param line number, from 1
 * @param seconds length of the run; NaN when not said
 * @param outputTokens generated in it; NaN when not said
 * @param outputThroughput tokens/s it states; NaN when not said
 * @param concurrency requests in flight on average; NaN when not said
 * @param medianItlMillis between tokens of a request; NaN when not said
 */
public record ClientRecord(
        Path file,
        int line,
        double seconds,
        double outputTokens,
        double outputThroughput,
        double concurrency,
        double medianItlMillis) {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /**
     * Reads every record of a file; lines that are no JSON are left out and noted.
     *
     * @throws TraceException IO naming the file
     */
    public static List<ClientRecord> read(Path file, List<String> notes) {
        List<ClientRecord> records = new ArrayList<>();
        List<String> lines;
        try {
            lines = Files.readAllLines(file);
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot read " + file + ": " + e.getMessage(), e);
        }
        for (int i = 0; i < lines.size(); i++) {
            if (lines.get(i).isBlank()) {
                continue;
            }
            try {
                JsonNode r = MAPPER.readTree(lines.get(i));
                records.add(new ClientRecord(
                        file,
                        i + 1,
                        number(r, "duration", "latency"),
                        number(r, "total_output_tokens", "output_tokens"),
                        number(r, "output_throughput", "last_gen_throughput"),
                        number(r, "concurrency", "batch_size"),
                        number(r, "median_itl_ms", "itl")));
            } catch (JacksonException e) {
                notes.add(file.getFileName() + " line " + (i + 1) + " is no JSON");
            }
        }
        return records;
    }

    private static double number(JsonNode record, String... keys) {
        for (String key : keys) {
            if (record.path(key).isNumber()) {
                return record.path(key).asDouble();
            }
        }
        return Double.NaN;
    }
}
