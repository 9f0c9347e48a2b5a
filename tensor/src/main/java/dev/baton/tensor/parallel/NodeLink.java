package dev.baton.tensor.parallel;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * One connection to another node: any thread writes, one reads. A message is a header of 48 bytes and a payload; little
 * endian:
 *
 * <pre>
 * 0  u32 magic "BND1"  4  u32 channel  8  u32 kind     12 u32 source   16 i64 sequence
 * 24 u32 dtype         28 u32 rows     32 u32 columns  36 i64 payload bytes            44 u32 CRC-32C of bytes 0 to 43
 * </pre>
 *
 * <p>A writer blocks while the peer does not read; whoever finds it blocked too long closes the link.
 */
final class NodeLink implements AutoCloseable {
    private static final int HEADER_BYTES = 48;
    private static final int MAGIC = 0x31444E42;
    private static final int SOCKET_BUFFER_BYTES = 1 << 20;

    private final SocketChannel socket;
    private final int node;
    private final String name;
    private final ReentrantLock writing = new ReentrantLock();
    private final ByteBuffer out = little(HEADER_BYTES);
    private final ByteBuffer in = little(HEADER_BYTES);
    private @Nullable Thread reader;
    private volatile long heardNanos = System.nanoTime();
    /** The peer has said that it ends: what follows is no failure. */
    private volatile boolean ended;

    NodeLink(int node, String name, SocketChannel socket) throws IOException {
        this.node = node;
        this.name = name;
        this.socket = socket;
        socket.configureBlocking(true);
        socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
        socket.setOption(StandardSocketOptions.SO_SNDBUF, SOCKET_BUFFER_BYTES);
        socket.setOption(StandardSocketOptions.SO_RCVBUF, SOCKET_BUFFER_BYTES);
    }

    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    int node() {
        return node;
    }

    /** "node 1 (10.0.0.2:41234)". */
    String name() {
        return name;
    }

    /** When the last bytes came, {@link System#nanoTime}. */
    long heardNanos() {
        return heardNanos;
    }

    void ended() {
        ended = true;
    }

    boolean hasEnded() {
        return ended;
    }

    /** Which thread reads; told once, before anybody writes. */
    void readBy(Thread thread) {
        reader = thread;
    }

    /** Waits until everything the peer has sent has been read and the connection is known to be broken. */
    void awaitRead(Duration limit) {
        Thread thread = reader;
        if (thread == null || thread == Thread.currentThread()) {
            return;
        }
        try {
            thread.join(limit);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Sends a message and its payload, {@code frame.bytes()} of the buffers together, from their positions on. */
    void send(Frame frame, ByteBuffer... payload) throws IOException {
        writing.lock();
        try {
            write(frame, payload);
        } finally {
            writing.unlock();
        }
    }

    /** As {@link #send}, but gives up when another thread goes on writing for so long. */
    boolean trySend(Frame frame, ByteBuffer payload, long millis) throws IOException, InterruptedException {
        if (!writing.tryLock(millis, TimeUnit.MILLISECONDS)) {
            return false;
        }
        try {
            write(frame, payload);
            return true;
        } finally {
            writing.unlock();
        }
    }

    private void write(Frame frame, ByteBuffer... payload) throws IOException {
        long bytes = remaining(payload);
        if (bytes != frame.bytes()) {
            throw new IllegalArgumentException("payload of " + bytes + " bytes for " + frame);
        }
        out.clear();
        out.putInt(MAGIC).putInt(frame.channel()).putInt(frame.kind()).putInt(frame.source());
        out.putLong(frame.sequence());
        out.putInt(frame.dtype()).putInt(frame.rows()).putInt(frame.columns()).putLong(frame.bytes());
        out.putInt(crc(out.duplicate().flip())).flip();
        ByteBuffer[] parts = new ByteBuffer[1 + payload.length];
        parts[0] = out;
        System.arraycopy(payload, 0, parts, 1, payload.length);
        for (long left = out.remaining() + bytes; left > 0; ) {
            left -= socket.write(parts);
        }
    }

    private static long remaining(ByteBuffer[] payload) {
        long bytes = 0;
        for (ByteBuffer part : payload) {
            bytes += part.remaining();
        }
        return bytes;
    }

    /**
     * Waits for the next header; its payload is read with {@link #read}.
     *
     * @throws EOFException when the peer has closed the connection
     * @throws IOException when the connection breaks or the bytes are no message
     */
    Frame next() throws IOException {
        in.clear();
        read(in);
        in.flip();
        int magic = in.getInt();
        Frame frame = new Frame(
                in.getInt(),
                in.getInt(),
                in.getInt(),
                in.getLong(),
                in.getInt(),
                in.getInt(),
                in.getInt(),
                in.getLong());
        int crc = in.getInt();
        if (magic != MAGIC || crc != crc(in.duplicate().position(0).limit(HEADER_BYTES - 4)) || frame.bytes() < 0) {
            throw new IOException("bytes that are no message (a peer of another version?)");
        }
        return frame;
    }

    /** Fills a buffer. */
    void read(ByteBuffer target) throws IOException {
        while (target.hasRemaining()) {
            if (socket.read(target) < 0) {
                throw new EOFException("the connection was closed");
            }
            heardNanos = System.nanoTime();
        }
    }

    private static int crc(ByteBuffer bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return (int) crc.getValue();
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // Nothing is left to be done with a connection that does not close.
            ended = true;
        }
    }
}
