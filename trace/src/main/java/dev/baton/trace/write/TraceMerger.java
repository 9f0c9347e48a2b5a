package dev.baton.trace.write;

import dev.baton.trace.RankCoordinates;
import dev.baton.trace.TraceException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Puts the trace files of several ranks into one: every process id gets the rank's label in front, every flow id is
 * made unique to its file. The files come from ranks of one server, whose writers share one time base. Files are
 * streamed, never held in memory.
 */
public final class TraceMerger {
    private final JsonFactory json = new JsonFactory();

    /**
     * @param files in rank order; their names tell the ranks
     * @return events written
     * @throws TraceException IO or MALFORMED naming the file
     */
    public long merge(List<Path> files, Path merged) {
        Path partial = merged.resolveSibling(merged.getFileName() + ".partial");
        long events = 0;
        try {
            try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(partial), 1 << 16);
                    JsonGenerator g = json.createGenerator(ObjectWriteContext.empty(), out)) {
                g.writeStartObject();
                header(g, files.getFirst());
                g.writeArrayPropertyStart("traceEvents");
                for (int i = 0; i < files.size(); i++) {
                    events += events(g, files.get(i), i);
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

    private JsonParser open(Path file) throws IOException {
        InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
        return json.createParser(ObjectReadContext.empty(), new GZIPInputStream(in, 1 << 16));
    }

    /** Copies every top-level key of the first file but its events. */
    private void header(JsonGenerator g, Path file) throws IOException {
        try (JsonParser p = open(file)) {
            p.nextToken();
            while (p.nextToken() == JsonToken.PROPERTY_NAME) {
                String key = p.currentName();
                p.nextToken();
                if (key.equals("traceEvents")) {
                    p.skipChildren();
                } else {
                    g.writeName(key);
                    g.copyCurrentStructure(p);
                }
            }
        }
    }

    private long events(JsonGenerator g, Path file, int fileIndex) throws IOException {
        String label = RankCoordinates.mergeLabel(file.getFileName().toString());
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
                    event(g, p, label, fileIndex);
                    count++;
                }
            }
        }
        return count;
    }

    private static void event(JsonGenerator g, JsonParser p, String label, int fileIndex) {
        g.writeStartObject();
        while (p.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = p.currentName();
            g.writeName(key);
            JsonToken value = p.nextToken();
            if (key.equals("pid")) {
                g.writeString(label + p.getValueAsString());
            } else if (key.equals("id") && value.isScalarValue()) {
                g.writeString(fileIndex + ":" + p.getValueAsString());
            } else {
                g.copyCurrentStructure(p);
            }
        }
        g.writeEndObject();
    }
}
