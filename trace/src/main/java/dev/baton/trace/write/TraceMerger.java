package dev.baton.trace.write;

import dev.baton.trace.RankCoordinates;
import dev.baton.trace.TraceException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Puts the trace files of several ranks into one: every process id gets its rank's label in front; flow, correlation and
 * external ids are made unique to their file; times count from the first file's base. Files are streamed an event at a
 * time, never held in memory. A damaged file gives the events before the damage.
 */
public final class TraceMerger {
    /** Ids of a file lie in a range of their own: Kineto's have 32 bits, and readers keep 53 exact. */
    private static final long IDS_PER_FILE = 1L << 33;

    private static final Pattern LABEL_PART = Pattern.compile("(TP|DP|PP|EP)(\\d+)");

    private final JsonMapper json = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN)
            .build();
    private final List<String> notes = new ArrayList<>();

    /**
     * Merges files whose names tell their ranks.
     *
     * @param files in rank order
     * @return events written
     * @throws TraceException IO or MALFORMED naming the file
     */
    public long merge(List<Path> files, Path merged) {
        List<String> labels = files.stream()
                .map(f -> RankCoordinates.mergeLabel(String.valueOf(f.getFileName())))
                .toList();
        return merge(files, labels, Map.of(), merged);
    }

    /**
     * Merges files.
     *
     * @param labels put in front of each file's process ids, e.g. {@code [TP00-DP01] }
     * @param lateMicros by how much a file's clock is late against the first one's; taken from its times
     * @return events written
     * @throws TraceException IO naming the file
     */
    public long merge(List<Path> files, List<String> labels, Map<Path, BigDecimal> lateMicros, Path merged) {
        Path partial = merged.resolveSibling(merged.getFileName() + ".partial");
        long events = 0;
        try {
            try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(partial), 1 << 16);
                    JsonGenerator g = json.createGenerator(out)) {
                g.writeStartObject();
                BigDecimal firstBase = base(header(g, files.getFirst(), true));
                g.writeArrayPropertyStart("traceEvents");
                for (int i = 0; i < files.size(); i++) {
                    BigDecimal base = i == 0 ? firstBase : base(header(g, files.get(i), false));
                    BigDecimal shift = base.subtract(firstBase)
                            .movePointLeft(3)
                            .subtract(lateMicros.getOrDefault(files.get(i), BigDecimal.ZERO));
                    events += events(g, files.get(i), labels.get(i), i, shift);
                }
                g.writeEndArray();
                g.writeEndObject();
            }
            KinetoWriter.moveInto(partial, merged);
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot merge into " + merged + ": " + e.getMessage(), e);
        }
        return events;
    }

    /** What a reader of the merged file must know. */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    private JsonParser open(Path file) throws IOException {
        InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
        in.mark(2);
        int magic = in.read() << 8 | in.read();
        in.reset();
        return json.createParser(magic == 0x1f8b ? new GZIPInputStream(in, 1 << 16) : in);
    }

    private static BigDecimal base(JsonNode base) {
        return base.isNumber() ? base.decimalValue() : BigDecimal.ZERO;
    }

    /** The file's time base; with {@code isCopied} every top-level key but the events goes into the merged file. */
    private JsonNode header(JsonGenerator g, Path file, boolean isCopied) throws IOException {
        JsonNode base = json.missingNode();
        try (JsonParser p = open(file)) {
            p.nextToken();
            while (p.nextToken() == JsonToken.PROPERTY_NAME) {
                String key = p.currentName();
                p.nextToken();
                if (key.equals("traceEvents")) {
                    p.skipChildren();
                    continue;
                }
                JsonNode value = json.readTree(p);
                base = key.equals("baseTimeNanoseconds") ? value : base;
                if (isCopied) {
                    g.writeName(key);
                    json.writeTree(g, value);
                }
            }
        } catch (JacksonException e) {
            return base; // Said where the events of this file are read.
        }
        return base;
    }

    private long events(JsonGenerator g, Path file, String label, int fileIndex, BigDecimal shift) throws IOException {
        long count = 0;
        try (JsonParser p = open(file)) {
            p.nextToken();
            while (p.nextToken() == JsonToken.PROPERTY_NAME) {
                boolean isEvents = p.currentName().equals("traceEvents");
                p.nextToken();
                if (!isEvents) {
                    p.skipChildren();
                    continue;
                }
                while (p.nextToken() == JsonToken.START_OBJECT) {
                    if (json.readTree(p) instanceof ObjectNode event) {
                        change(event, label, fileIndex, shift);
                        json.writeTree(g, event);
                        count++;
                    }
                }
            }
        } catch (JacksonException e) {
            notes.add(file.getFileName() + " breaks off after " + count + " events: " + e.getOriginalMessage());
        }
        return count;
    }

    private static void change(ObjectNode event, String label, int fileIndex, BigDecimal shift) {
        JsonNode pid = event.path("pid");
        JsonNode arguments = event.path("args");
        if (arguments instanceof ObjectNode args) {
            unique(args, "correlation", fileIndex);
            unique(args, "External id", fileIndex);
            if (event.path("name").asString("").equals("process_sort_index")
                    && pid.isIntegralNumber()
                    && pid.asLong() < 1000) {
                args.put("sort_index", pid.asLong() + sortIndex(label));
            }
        }
        if (!pid.isMissingNode()) {
            event.put("pid", label + pid.asString());
        }
        JsonNode id = event.path("id");
        if (id.isValueNode()) {
            event.put("id", fileIndex + ":" + id.asString());
        }
        JsonNode ts = event.path("ts");
        if (shift.signum() != 0 && ts.isNumber() && !(ts.isDouble() && !Double.isFinite(ts.asDouble()))) {
            event.put("ts", ts.decimalValue().add(shift));
        }
    }

    private static void unique(ObjectNode args, String key, int fileIndex) {
        JsonNode value = args.path(key);
        if (fileIndex > 0 && value.isIntegralNumber() && value.asLong() > 0 && value.asLong() < IDS_PER_FILE) {
            args.put(key, value.asLong() + fileIndex * IDS_PER_FILE);
        }
    }

    /** Ranks in the order DP, EP, PP, TP, as SGLang sorts them. */
    private static long sortIndex(String label) {
        long index = 0;
        Matcher part = LABEL_PART.matcher(label);
        while (part.find()) {
            long weight = switch (part.group(1)) {
                case "DP" -> 100_000_000L;
                case "EP" -> 1_000_000L;
                case "PP" -> 10_000L;
                default -> 100L;
            };
            index += weight * Long.parseLong(part.group(2));
        }
        return index;
    }
}
