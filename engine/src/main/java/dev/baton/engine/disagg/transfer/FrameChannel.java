package dev.baton.engine.disagg.transfer;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;

/**
 * Frames over one TCP connection; one thread reads, any thread writes. A frame is a header, a body of at most 16 MiB
 * and, in {@link FrameType#DATA}, a payload. Little endian:
 *
 * <pre>
 * 0  u32 magic "BKV1"   4  u32 type   8  i64 room   16 u32 body bytes   20 u32 payload bytes
 * 24 u32 CRC-32C of the body   28 u32 CRC-32C of bytes 0 to 27
 * </pre>
 *
 * <p>The checks catch a peer that does not speak this protocol and any slip in framing; payload bytes rely on TCP's own
 * checksum. Small frames are collected and leave with {@link #flush}; large payloads go from their own memory.
 */
final class FrameChannel implements AutoCloseable {
    static final int HEADER_BYTES = 32;
    static final int MAX_BODY_BYTES = 16 << 20;
    static final int MAX_PAYLOAD_BYTES = 256 << 20;

    /** What a sender puts in one frame unless one page is larger, so that other rooms' frames get between. */
    static final int FRAME_TARGET_BYTES = 1 << 20;

    private static final int MAGIC = 0x31564B42;
    private static final int IN_BYTES = 64 << 10;

    private final SocketChannel channel;
    private final ByteBuffer in = little(ByteBuffer.allocateDirect(IN_BYTES)).flip();
    private ByteBuffer out = little(ByteBuffer.allocateDirect(FRAME_TARGET_BYTES + 4096));
    /** When the write or read in progress last moved a byte; 0 when none is in progress. */
    private volatile long writingSince;

    private volatile long readingSince;

    FrameChannel(SocketChannel channel) throws IOException {
        this.channel = channel;
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
        if (channel.supportedOptions().contains(ExtendedSocketOptions.TCP_KEEPIDLE)) {
            // A peer whose host vanished is noticed after about 25 s, even when nothing is being sent.
            channel.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, 10);
            channel.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, 5);
            channel.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, 3);
        }
    }

    /**
     * @param type what it says
     * @param room which room; 0 where it concerns the connection
     * @param body little endian, at its beginning
     * @param payloadBytes bytes that follow the body and must be read or skipped next
     */
    record Frame(FrameType type, long room, ByteBuffer body, int payloadBytes) {
        String text() {
            return StandardCharsets.UTF_8.decode(body.duplicate()).toString();
        }
    }

    /** Writes a payload at an offset of a segment. */
    @FunctionalInterface
    interface Packer {
        void pack(MemorySegment target, long at);
    }

    static ByteBuffer text(String text) {
        return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    }

    static ByteBuffer body(int bytes) {
        return little(ByteBuffer.allocate(bytes));
    }

    /** Queues a frame without payload; {@link #flush} sends it. */
    synchronized void write(FrameType type, long room, ByteBuffer body) throws IOException {
        if (body.remaining() > MAX_BODY_BYTES) {
            throw new IOException(
                    "a " + type + " message of " + body.remaining() + " bytes is over the limit of " + MAX_BODY_BYTES);
        }
        makeRoom(HEADER_BYTES + body.remaining());
        header(type, room, body, 0);
        out.put(body);
    }

    /** Queues a DATA frame whose payload is packed into the output buffer. */
    synchronized void writePacked(long room, ByteBuffer body, int payloadBytes, Packer packer) throws IOException {
        makeRoom(HEADER_BYTES + body.remaining() + payloadBytes);
        header(FrameType.DATA, room, body, payloadBytes);
        out.put(body);
        packer.pack(MemorySegment.ofBuffer(out.duplicate().clear()), out.position());
        out.position(out.position() + payloadBytes);
    }

    /** Sends a DATA frame whose payload lies in {@code payload[0..count)}, with everything queued before it. */
    synchronized void writeGathered(long room, ByteBuffer body, ByteBuffer[] payload, int count, int payloadBytes)
            throws IOException {
        makeRoom(HEADER_BYTES + body.remaining());
        header(FrameType.DATA, room, body, payloadBytes);
        out.put(body).flip();
        ByteBuffer[] all = new ByteBuffer[count + 1];
        all[0] = out;
        System.arraycopy(payload, 0, all, 1, count);
        writeFully(all);
        out.clear();
    }

    /** Sends what was queued. */
    synchronized void flush() throws IOException {
        if (out.position() > 0) {
            writeFully(new ByteBuffer[] {out.flip()});
            out.clear();
        }
    }

    private void makeRoom(int bytes) throws IOException {
        if (out.remaining() < bytes) {
            flush();
            if (out.capacity() < bytes) {
                out = little(ByteBuffer.allocateDirect(bytes));
            }
        }
    }

    private void header(FrameType type, long room, ByteBuffer body, int payloadBytes) {
        int start = out.position();
        out.putInt(MAGIC).putInt(type.number()).putLong(room).putInt(body.remaining());
        out.putInt(payloadBytes).putInt(crc(body.duplicate()));
        out.putInt(crc(out.duplicate().limit(out.position()).position(start)));
    }

    private void writeFully(ByteBuffer[] buffers) throws IOException {
        writingSince = System.nanoTime();
        try {
            int first = 0;
            while (first < buffers.length) {
                if (!buffers[first].hasRemaining()) {
                    first++;
                } else if (channel.write(buffers, first, buffers.length - first) > 0) {
                    writingSince = System.nanoTime();
                }
            }
        } finally {
            writingSince = 0;
        }
    }

    /**
     * The next frame, without its payload.
     *
     * @return null when the peer closed the connection between two frames
     * @throws IOException when the connection breaks or the bytes are no frame
     */
    @Nullable
    Frame read() throws IOException {
        if (!in.hasRemaining()) {
            in.clear();
            int got = channel.read(in);
            in.flip();
            if (got < 0) {
                return null;
            }
        }
        ByteBuffer header = body(HEADER_BYTES);
        readFully(header);
        int headerCrc = header.getInt(28);
        if (header.getInt(0) != MAGIC || headerCrc != crc(header.flip().limit(28))) {
            throw new IOException("corrupt frame: the header's magic or checksum is wrong");
        }
        FrameType type = FrameType.of(header.getInt(4));
        int bodyBytes = header.getInt(16);
        int payloadBytes = header.getInt(20);
        if (bodyBytes < 0
                || bodyBytes > MAX_BODY_BYTES
                || payloadBytes < 0
                || payloadBytes > MAX_PAYLOAD_BYTES
                || (payloadBytes > 0 && type != FrameType.DATA)) {
            throw new IOException("corrupt frame: " + type + " of " + bodyBytes + " + " + payloadBytes + " bytes");
        }
        ByteBuffer body = body(bodyBytes);
        readFully(body);
        if (crc(body.flip().duplicate()) != header.getInt(24)) {
            throw new IOException("corrupt frame: the checksum of a " + type + " is wrong");
        }
        return new Frame(type, header.getLong(8), body, payloadBytes);
    }

    /** Whether the next frame has begun to arrive, so that reading it hardly waits. On the reading thread. */
    boolean hasInput() {
        return in.hasRemaining();
    }

    /** Fills {@code buffers[0..count)} from the payload. */
    void readPayload(ByteBuffer[] buffers, int count) throws IOException {
        readingSince = System.nanoTime();
        try {
            int first = 0;
            while (first < count) {
                ByteBuffer next = buffers[first];
                if (!next.hasRemaining()) {
                    first++;
                } else if (in.hasRemaining()) {
                    int bytes = Math.min(in.remaining(), next.remaining());
                    next.put(next.position(), in, in.position(), bytes);
                    next.position(next.position() + bytes);
                    in.position(in.position() + bytes);
                } else {
                    receive(buffers, first, count);
                }
            }
        } finally {
            readingSince = 0;
        }
    }

    /** One read: into the payload's memory when much is missing, into the input buffer otherwise. */
    private void receive(ByteBuffer[] buffers, int first, int count) throws IOException {
        long missing = 0;
        for (int i = first; i < count && missing < IN_BYTES; i++) {
            missing += buffers[i].remaining();
        }
        long got;
        if (missing >= IN_BYTES) {
            got = channel.read(buffers, first, count - first);
        } else {
            in.clear();
            got = channel.read(in);
            in.flip();
        }
        if (got < 0) {
            throw new EOFException("the connection ended in the middle of a message");
        }
        readingSince = System.nanoTime();
    }

    /** Skips a payload. */
    void discard(long bytes) throws IOException {
        ByteBuffer scratch = ByteBuffer.allocate((int) Math.min(bytes, IN_BYTES));
        for (long left = bytes; left > 0; left -= scratch.limit()) {
            scratch.clear().limit((int) Math.min(left, scratch.capacity()));
            readFully(scratch);
        }
    }

    /** Reads and forgets until the peer closes its end. */
    void drain() throws IOException {
        do {
            in.clear();
        } while (channel.read(in) >= 0);
    }

    private void readFully(ByteBuffer buffer) throws IOException {
        readPayload(new ByteBuffer[] {buffer}, 1);
    }

    /** How long the read or write in progress has stood still; 0 when none is in progress. */
    long stalledNanos() {
        long now = System.nanoTime();
        long writing = writingSince;
        long reading = readingSince;
        return Math.max(writing == 0 ? 0 : now - writing, reading == 0 ? 0 : now - reading);
    }

    /** True while a thread is inside a socket write. */
    boolean isWriting() {
        return writingSince != 0;
    }

    /** Ends our direction; the peer reads an end of stream. */
    void endOutput() throws IOException {
        channel.shutdownOutput();
    }

    private static ByteBuffer little(ByteBuffer buffer) {
        return buffer.order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int crc(ByteBuffer bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return (int) crc.getValue();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
