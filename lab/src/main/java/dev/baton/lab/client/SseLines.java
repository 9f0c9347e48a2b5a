package dev.baton.lab.client;

import io.netty.buffer.ByteBuf;
import java.util.Arrays;

/** Cuts a byte stream into lines; keeps the unfinished one. Blank lines are left out. Not thread-safe. */
final class SseLines {
    /** Takes one line. */
    interface Sink {
        /** A line without its end, in {@code bytes[0, length)}; the array is reused after the call. */
        void line(byte[] bytes, int length, long nanos);
    }

    private byte[] line = new byte[512];
    private int length;

    /** Feeds all readable bytes, which arrived at {@code nanos}. */
    void feed(ByteBuf bytes, long nanos, Sink sink) {
        while (bytes.isReadable()) {
            int end = bytes.bytesBefore((byte) '\n');
            int take = end < 0 ? bytes.readableBytes() : end;
            if (length + take > line.length) {
                line = Arrays.copyOf(line, Math.max(length + take, 2 * line.length));
            }
            bytes.readBytes(line, length, take);
            length += take;
            if (end >= 0) {
                bytes.skipBytes(1);
                flush(nanos, sink);
            }
        }
    }

    /** The body has ended: what is left is a line too. */
    void end(long nanos, Sink sink) {
        flush(nanos, sink);
    }

    private void flush(long nanos, Sink sink) {
        int end = length;
        while (end > 0 && (line[end - 1] == '\r' || line[end - 1] == ' ')) {
            end--;
        }
        length = 0;
        if (end > 0) {
            sink.line(line, end, nanos);
        }
    }
}
