package dev.baton.trace.read;

import dev.baton.trace.TraceException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

/**
 * Reads Kineto traces (Chrome trace JSON, gzipped or not) as streams: memory goes to the events that are kept, not to the
 * file. What is damaged is passed over and noted; only a file that cannot be opened is an error. A large file that is not
 * gzipped is read on all cores. SQLite exports of Nsight Systems are read too.
 */
public final class TraceReader {
    private static final int GZIP_MAGIC = 0x1f8b;

    private TraceReader() {}

    /**
     * Reads a file: one trace for each rank in it. A merged file has several, and so has a file that two ranks wrote to.
     *
     * @return at least one trace; it has no events when nothing could be read
     * @throws TraceException IO when the file cannot be opened
     */
    public static List<Trace> read(Path file) {
        return read(file, List.of());
    }

    /**
     * Reads a file and keeps some Python frames beside those of {@code run_batch}.
     *
     * @param frames pieces of names, e.g. {@code send_tensor_dict}
     */
    public static List<Trace> read(Path file, List<String> frames) {
        byte[][] pieces = java.util.stream.Stream.concat(java.util.stream.Stream.of("run_batch"), frames.stream())
                .map(f -> f.getBytes(java.nio.charset.StandardCharsets.UTF_8))
                .toArray(byte[][]::new);
        Notes notes = new Notes();
        List<Trace> traces = new ArrayList<>();
        if (NsysReader.isExport(file)) {
            return List.of(NsysReader.read(file));
        }
        try (InputStream raw = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
            List<Trace> side = Files.size(file) < 4 * StretchReader.BYTES
                    ? List.of()
                    : StretchReader.read(file, pieces, StretchReader.BYTES);
            if (!side.isEmpty()) {
                return side;
            }
            ByteWindow window = new ByteWindow(unzipped(raw, notes));
            DocumentReader reader;
            int documents = 0;
            do {
                reader = new DocumentReader(file, window, notes, pieces);
                List<Trace> found = reader.read();
                if (documents == 0 || found.stream().anyMatch(t -> t.events().size() > 0)) {
                    traces.addAll(found);
                }
            } while (reader.isFollowedByAnother() && ++documents < 64);
            if (documents > 0) {
                notes.add("the file holds " + (documents + 1) + " trace documents one after another: several ranks"
                        + " wrote to one file name");
            }
        } catch (IOException e) {
            throw new TraceException(
                    TraceException.Code.IO, "cannot read the trace " + file + ": " + e.getMessage(), e);
        }
        return withNotes(traces, notes.list());
    }

    private static List<Trace> withNotes(List<Trace> traces, List<String> notes) {
        return traces.stream()
                .map(t -> {
                    List<String> all = new ArrayList<>(t.notes());
                    all.addAll(notes);
                    return new Trace(t.file(), t.label(), t.info(), t.events(), t.uncompressedBytes(), all);
                })
                .toList();
    }

    private static InputStream unzipped(InputStream raw, Notes notes) throws IOException {
        raw.mark(2);
        int magic = raw.read() << 8 | raw.read();
        raw.reset();
        if (magic != GZIP_MAGIC) {
            return raw;
        }
        try {
            return new GZIPInputStream(raw, 1 << 16);
        } catch (IOException e) {
            notes.add("the gzip header is damaged: " + e.getMessage());
            return InputStream.nullInputStream();
        }
    }
}
