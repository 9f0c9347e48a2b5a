package dev.baton.engine.disagg.transfer;

import dev.baton.engine.disagg.transfer.FrameChannel.Frame;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.tensor.SharedDeviceMemory;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A decode rank's connection to a prefill rank. One platform thread connects, agrees, then reads, copying payloads into
 * the pool; one virtual thread writes what the rooms have to say.
 *
 * <p>With direct writes the peer copies into this side's pool, so after a loss the connection is {@link #isGone} only
 * when the peer's end has closed: then no copy is under way there.
 */
final class DecodeConnection {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");
    private static final int QUEUE_MESSAGES = 1 << 16;
    private final SocketDecodeTransfer owner;
    private final Key key;
    private final KvRegion region;
    private final CachePairing.Part part;
    private final BlockingQueue<Message> queue = new ArrayBlockingQueue<>(QUEUE_MESSAGES);
    private final Map<Long, DecodeRoom> rooms = new ConcurrentHashMap<>();
    private final CompletableFuture<DecodeConnection> ready = new CompletableFuture<>();
    private final AtomicBoolean closing = new AtomicBoolean();
    private final long startNanos = System.nanoTime();
    private volatile @Nullable FrameChannel channel;
    private volatile String lost = "";
    private volatile boolean gone;
    private volatile boolean direct;
    private PageCopy[] copies = {};
    private long pageBytes;
    /** Made with the first DATA. */
    private @Nullable PageReceiver receiver;

    /**
     * @param bootstrap host and port of the bootstrap server, room 0
     * @param address where the prefill rank listens
     * @param prefillRank which
     * @param decodeRank our rank
     */
    record Key(Bootstrap bootstrap, InetSocketAddress address, int prefillRank, int decodeRank) {}

    private record Message(FrameType type, long room, ByteBuffer body) {}

    DecodeConnection(SocketDecodeTransfer owner, Key key, CachePairing.Part part) {
        this.owner = owner;
        this.key = key;
        this.part = part;
        this.region = owner.regions().get(key.decodeRank());
    }

    /** Completes with this when pages can be told; fails with an {@link IOException} that names the peer. */
    CompletableFuture<DecodeConnection> start() {
        Thread.ofPlatform().daemon().name("kv-receive-" + key.decodeRank()).start(this::run);
        return ready;
    }

    Key key() {
        return key;
    }

    String peer() {
        return "prefill server " + SocketDecodeTransfer.name(key.bootstrap()) + " rank " + key.prefillRank();
    }

    boolean isDirect() {
        return direct;
    }

    /** True when nothing of the peer's can reach this side's memory any more. */
    boolean isGone() {
        return gone;
    }

    String lost() {
        return lost;
    }

    /** Bytes of one page that come over this connection. */
    long pageBytes() {
        return pageBytes;
    }

    /** The room hears of this connection's loss; false when it is lost already. */
    boolean register(DecodeRoom room) {
        rooms.put(room.room(), room);
        return !closing.get();
    }

    void forget(DecodeRoom room) {
        rooms.remove(room.room(), room);
    }

    /** Queues a message; a full queue gives the connection up. */
    void send(FrameType type, long room, ByteBuffer body) {
        if (!queue.offer(new Message(type, room, body)) && !closing.get()) {
            fail("the queue of messages to it is full");
        }
    }

    private void run() {
        String reason = "it closed the connection";
        try {
            FrameChannel connected = connect();
            agree(connected);
            Thread.ofVirtual().name("kv-decode-writer").start(() -> writeMessages(connected));
            ready.complete(this);
            for (Frame frame = connected.read(); frame != null; frame = connected.read()) {
                handle(connected, frame);
                if (!connected.hasInput()) {
                    connected.flush();
                }
            }
        } catch (IOException | RuntimeException e) {
            reason = String.valueOf(e.getMessage());
        } finally {
            fail(reason);
            drain();
            if (receiver != null) {
                receiver.close();
            }
            gone = true;
            owner.removed(this);
        }
    }

    private FrameChannel connect() throws IOException {
        SocketChannel socket = SocketChannel.open();
        try {
            socket.socket().connect(key.address(), (int)
                    owner.options().handshakeTimeout().toMillis());
        } catch (IOException | RuntimeException e) {
            socket.close();
            throw new IOException("cannot connect to " + key.address() + ": " + e, e);
        }
        FrameChannel connected = new FrameChannel(socket);
        channel = connected;
        if (closing.get()) {
            connected.close();
        }
        return connected;
    }

    private void agree(FrameChannel connected) throws IOException {
        SharedMemory shared = owner.options().backend() == TransferBackend.TCP ? null : region.shared();
        int slot = owner.nextEchoSlot();
        Handshake.DeviceDescriptor device = owner.options().backend() == TransferBackend.TCP ? null : device();
        connected.write(
                FrameType.HELLO,
                0,
                Handshake.encode(new Handshake.Hello(
                        owner.options().server(),
                        owner.instance(),
                        key.prefillRank(),
                        key.decodeRank(),
                        part,
                        owner.options().backend(),
                        region.layout(),
                        region.pages(),
                        shared == null ? null : shared.descriptor(slot),
                        device,
                        region.offsets())));
        connected.flush();
        Frame answer = connected.read();
        if (answer == null) {
            throw new IOException("it closed the connection during the handshake");
        }
        if (answer.type() == FrameType.REFUSED) {
            throw new IOException("it refused this decode server: " + answer.text());
        }
        if (answer.type() != FrameType.WELCOME) {
            throw new IOException("it answered " + answer.type() + " to the handshake");
        }
        Handshake.Welcome welcome = Handshake.welcome(answer.text());
        boolean mappedOther = shared == null ? device == null : shared.echo(slot) != welcome.echo();
        if (welcome.direct() && mappedOther) {
            throw new IOException("it mapped other memory than this server's KV pool");
        }
        direct = welcome.direct();
        // Only the width and our own side are used here.
        copies = PageCopy.of(region.layout(), region.layout(), part);
        for (PageCopy copy : copies) {
            pageBytes += copy.pageBytes();
        }
        LOG.log(
                Level.INFO,
                "KV transfer from {0} to rank {1}: {2}",
                peer(),
                key.decodeRank(),
                !direct ? "TCP" : device == null ? "shared memory" : "device memory");
    }

    private Handshake.@Nullable DeviceDescriptor device() throws IOException {
        KvRegion.DevicePool pool = region.device();
        SharedDeviceMemory memory = pool == null ? null : pool.shared();
        return memory == null ? null : new Handshake.DeviceDescriptor(SharedMemory.hostId(), memory);
    }

    private void handle(FrameChannel from, Frame frame) throws IOException {
        DecodeRoom room = rooms.get(frame.room());
        switch (frame.type()) {
            case DATA -> data(from, frame, room);
            case DONE -> {
                long sent = frame.body().getLong();
                AuxRecord aux = AuxRecord.decode(frame.body());
                // Orders what the peer wrote in this memory before what is read from it from now on.
                VarHandle.fullFence();
                if (room != null && room.done(this, sent, aux)) {
                    // At once, without another thread's wake-up; leaves when no frame is waiting to be read.
                    from.write(FrameType.RECEIVED, frame.room(), FrameChannel.body(0));
                }
            }
            case FAILED -> {
                if (room != null) {
                    room.quiet(this);
                    room.fail(peer() + ": " + frame.text(), this);
                }
            }
            case ABORTED -> {
                if (room != null) {
                    room.quiet(this);
                }
            }
            case HELLO, WELCOME, REFUSED, OPEN, RECEIVED, ABORT ->
                throw new IOException("unexpected message " + frame.type());
        }
    }

    private void data(FrameChannel from, Frame frame, @Nullable DecodeRoom room) throws IOException {
        ByteBuffer body = frame.body();
        if (body.remaining() != 12 || direct) {
            throw new IOException("unexpected or malformed DATA");
        }
        int buffer = body.getInt();
        int first = body.getInt();
        int count = body.getInt();
        if (buffer < 0
                || buffer >= copies.length
                || first < 0
                || count < 1
                || frame.payloadBytes() != count * copies[buffer].pageBytes()) {
            throw new IOException("DATA of buffer " + buffer + ", pages [" + first + ", +" + count + "), "
                    + frame.payloadBytes() + " bytes does not fit the agreed layout");
        }
        if (room == null || !room.beginWrite()) {
            from.discard(frame.payloadBytes());
            return;
        }
        long bytes = 0;
        try {
            int[] pages = room.pages();
            if (first + count > pages.length) {
                throw new IOException("DATA of pages [" + first + ", " + (first + count) + ") of room " + frame.room()
                        + ", which has " + pages.length);
            }
            MemorySegment target = region.buffers().get(part.bufferIn(region.layout(), buffer));
            receiver().receive(from, copies[buffer], target, pages, first, first + count);
            bytes = frame.payloadBytes();
        } finally {
            room.endWrite(this, bytes);
        }
    }

    private PageReceiver receiver() {
        PageReceiver made = receiver;
        if (made == null) {
            made = PageReceiver.of(region);
            receiver = made;
        }
        return made;
    }

    private void writeMessages(FrameChannel to) {
        try {
            while (!closing.get()) {
                Message message = queue.poll();
                if (message == null) {
                    to.flush();
                    message = queue.poll(200, TimeUnit.MILLISECONDS);
                }
                if (message != null) {
                    to.write(message.type, message.room, message.body);
                }
            }
            for (Message last = queue.poll(); last != null; last = queue.poll()) {
                to.write(last.type, last.room, last.body);
            }
            to.flush();
            to.endOutput();
        } catch (IOException e) {
            fail("sending to it failed: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Gives the connection up: its rooms fail now. */
    void fail(String reason) {
        if (!closing.compareAndSet(false, true)) {
            return;
        }
        boolean agreed = ready.isDone();
        lost = agreed ? "connection to " + peer() + " was lost: " + reason : peer() + ": " + reason;
        ready.completeExceptionally(new IOException(lost));
        if (!owner.isClosed()) {
            LOG.log(Level.WARNING, "{0}", lost);
        }
        owner.failed(this);
        for (DecodeRoom room : rooms.values()) {
            room.fail(lost, this);
        }
        if (!direct) {
            closeChannel();
        }
    }

    /** After a loss the peer may still be in the middle of a copy: waits for its end of the connection to close. */
    private void drain() {
        FrameChannel open = channel;
        if (open == null) {
            return;
        }
        try {
            if (direct) {
                open.endOutput();
                open.drain();
            }
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "{0}: {1}", peer(), e.toString());
        } finally {
            closeChannel();
        }
    }

    /** Called regularly: a peer that takes or gives nothing in the middle of a message is given up. */
    void checkStalled() {
        TransferOptions options = owner.options();
        FrameChannel open = channel;
        if (!ready.isDone()
                && System.nanoTime() - startNanos > options.handshakeTimeout().toNanos()) {
            fail("no answer to the handshake within "
                    + options.handshakeTimeout().toSeconds() + " s");
        } else if (open != null && open.stalledNanos() > options.stallTimeout().toNanos()) {
            fail("nothing moved for " + options.stallTimeout().toSeconds() + " s");
        }
    }

    private void closeChannel() {
        FrameChannel open = channel;
        if (open != null) {
            try {
                open.close();
            } catch (IOException e) {
                LOG.log(Level.DEBUG, "closing the connection to {0}: {1}", peer(), e);
            }
        }
    }
}
