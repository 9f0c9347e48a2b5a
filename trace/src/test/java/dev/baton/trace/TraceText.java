package dev.baton.trace;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.zip.GZIPOutputStream;

/** Builds small Kineto traces for tests; times are microseconds. */
public final class TraceText {
    private final List<String> events = new ArrayList<>();
    private final List<String> header = new ArrayList<>();

    public TraceText rank(int rank, int worldSize) {
        return header("\"distributedInfo\": {\"backend\": \"nccl\", \"rank\": " + rank + ", \"world_size\": "
                + worldSize + "}");
    }

    public TraceText header(String property) {
        header.add(property);
        return this;
    }

    public TraceText kernel(String name, double ts, double dur, int stream, long correlation) {
        return event(String.format(
                Locale.ROOT,
                "{\"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"%s\", \"pid\": 0, \"tid\": %d, \"ts\": %.3f,"
                        + " \"dur\": %.3f, \"args\": {\"device\": 0, \"stream\": %d, \"correlation\": %d}}",
                name,
                stream,
                ts,
                dur,
                stream,
                correlation));
    }

    public TraceText launch(String name, double ts, double dur, long correlation) {
        return event(String.format(
                Locale.ROOT,
                "{\"ph\": \"X\", \"cat\": \"cuda_runtime\", \"name\": \"%s\", \"pid\": 77, \"tid\": 78, \"ts\": %.3f,"
                        + " \"dur\": %.3f, \"args\": {\"cbid\": 311, \"correlation\": %d}}",
                name,
                ts,
                dur,
                correlation));
    }

    public TraceText annotation(String name, double ts, double dur) {
        return event(String.format(
                Locale.ROOT,
                "{\"ph\": \"X\", \"cat\": \"user_annotation\", \"name\": \"%s\", \"pid\": 77, \"tid\": 78,"
                        + " \"ts\": %.3f, \"dur\": %.3f, \"args\": {}}",
                name,
                ts,
                dur));
    }

    public TraceText event(String json) {
        events.add(json);
        return this;
    }

    public String json() {
        StringBuilder text = new StringBuilder("{\n  \"schemaVersion\": 1,\n");
        header.forEach(h -> text.append("  ").append(h).append(",\n"));
        return text.append("  \"traceEvents\": [\n  ")
                .append(String.join(",\n  ", events))
                .append("\n  ],\n  \"traceName\": \"/tmp/x.json\"\n}\n")
                .toString();
    }

    public Path write(Path file) throws IOException {
        byte[] bytes = json().getBytes(StandardCharsets.UTF_8);
        Files.createDirectories(file.toAbsolutePath().getParent());
        return Files.write(file, file.toString().endsWith(".gz") ? gzip(bytes) : bytes);
    }

    public static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }
}
