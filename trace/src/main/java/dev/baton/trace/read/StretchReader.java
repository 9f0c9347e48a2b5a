package dev.baton.trace.read;

import dev.baton.trace.TraceException;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Reads a large file as stretches, side by side on the machine's cores. Where a stretch begins is guessed: at the first
 * brace that looks like an event's. The guess is right when the stretch before, read to its end, stops at the same brace;
 * the result is then what one reader gives. It is used only when every guess was right and nothing was damaged.
 */
final class StretchReader {
    /** Of a stretch; a file of fewer than four such is read by one reader. */
    static final long BYTES = 16L << 20;

    /** Seen before a stretch, to know what stands in front of its first brace. */
    private static final int BEFORE = 256;

    private StretchReader() {}

    /**
     * One stretch, read.
     *
     * @param first offset of its first event in the file; 0 for the document's begin
     * @param stoppedAt offset of the next stretch's first event; -1 at the document's end
     * @param isClean whether nothing was damaged, and nothing follows the document
     */
    private record Stretch(DocumentReader reader, long first, long stoppedAt, boolean isClean) {}

    /**
     * The traces of an unpacked file; empty when it must be read by one reader.
     *
     * @param stretchBytes length of a stretch
     */
    static List<Trace> read(Path file, byte[][] frames, long stretchBytes) throws IOException {
        long size = Files.size(file);
        int count = (int) Math.min(1 << 14, size / stretchBytes);
        if (count < 2 || !beginsWithBrace(file)) {
            return List.of();
        }
        Stretch[] stretches = IntStream.range(0, count)
                .parallel()
                .mapToObj(i -> stretch(file, frames, size * i / count, i + 1 == count ? -1 : size * (i + 1) / count))
                .toArray(Stretch[]::new);
        DocumentReader whole = stretches[0].reader;
        for (int i = 0; i < count; i++) {
            Stretch s = stretches[i];
            boolean isLast = i + 1 == count;
            boolean fits = i == 0 || s.first == stretches[i - 1].stoppedAt;
            if (!fits || !s.isClean || s.stoppedAt < 0 != isLast) {
                return List.of();
            }
        }
        for (int i = 1; i < count; i++) {
            whole.append(stretches[i].reader);
        }
        return whole.traces(size);
    }

    private static boolean beginsWithBrace(Path file) throws IOException {
        try (var in = Files.newInputStream(file)) {
            int c = in.read();
            while (c >= 0 && Json.isSpace((byte) c)) {
                c = in.read();
            }
            return c == '{';
        }
    }

    /** @param to first offset that belongs to the next stretch; -1 for the last stretch */
    private static Stretch stretch(Path file, byte[][] frames, long from, long to) {
        long base = from == 0 ? 0 : Math.max(0, from - BEFORE);
        long stop = to < 0 ? Long.MAX_VALUE : to - base;
        try (SeekableByteChannel channel = Files.newByteChannel(file)) {
            channel.position(base);
            ByteWindow window = new ByteWindow(Channels.newInputStream(channel));
            Notes notes = new Notes();
            DocumentReader reader = new DocumentReader(file, window, notes, frames);
            long first = 0;
            if (from == 0) {
                reader.readUpTo(stop);
            } else {
                window.more(0);
                window.position = (int) Math.min(window.limit, from - base);
                first = reader.readEvents(stop);
                first = first < 0 ? -1 : base + first;
            }
            boolean isEnd = reader.stoppedAt() < 0;
            boolean isClean = notes.list().isEmpty() && window.breakReason().isEmpty() && !(isEnd && reader.hasMore());
            window.release();
            return new Stretch(reader, first, isEnd ? -1 : base + reader.stoppedAt(), isClean);
        } catch (IOException e) {
            throw new TraceException(
                    TraceException.Code.IO, "cannot read the trace " + file + ": " + e.getMessage(), e);
        }
    }
}
