package dev.baton.tensor.parallel;

import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One JVM's connections to the other JVMs (nodes) of one server. Messages travel on numbered channels; a channel means
 * the same on every node. A connection has a thread that reads; whoever sends writes itself.
 *
 * <p>The mesh ends once, for all: when a node ends in good order, when a connection breaks, when nothing (not even the
 * pings, one a second) is heard of a node for longer than the silence allowed, or when {@link #fail} is called here or
 * there. Every node then learns the same reason, and whoever waits in a collective returns with it.
 */
public final class NodeMesh implements AutoCloseable {
    private static final int OWN_CHANNEL = -1;
    private static final int PING = 1;
    private static final int FAIL = 2;
    private static final int BYE = 3;
    private static final int LONGEST_TEXT = 16 << 10;
    private static final long PING_NANOS = 1_000_000_000L;
    private static final Duration LAST_WORDS = Duration.ofMillis(500);
    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final int node;
    private final @Nullable NodeLink[] links;
    private final Duration silence;
    private final Map<Integer, FrameReceiver> channels = new ConcurrentHashMap<>();
    private final List<Consumer<End>> listeners = new CopyOnWriteArrayList<>();
    private final AtomicReference<@Nullable End> end = new AtomicReference<>();
    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * Why the mesh is over.
     *
     * @param text for people
     * @param ended the node that ended as it should; -1 when something failed
     * @param cause of a failure here; null otherwise
     */
    public record End(String text, int ended, @Nullable Throwable cause) {}

    /**
     * An open connection to another node.
     *
     * @param node which
     * @param address where it was reached, for messages
     */
    public record Peer(int node, String address, SocketChannel socket) {}

    private NodeMesh(int node, int nodes, Duration silence) {
        this.node = node;
        this.links = new NodeLink[nodes];
        this.silence = silence;
    }

    /**
     * Takes over connections, one to each other node, and begins to read.
     *
     * @param node this one, 0 to nodes - 1
     * @param silence how long a node may not be heard of
     */
    public static NodeMesh of(int node, int nodes, List<Peer> peers, Duration silence) throws IOException {
        NodeMesh mesh = new NodeMesh(node, nodes, silence);
        for (Peer peer : peers) {
            mesh.links[peer.node()] =
                    new NodeLink(peer.node(), "node " + peer.node() + " (" + peer.address() + ")", peer.socket());
        }
        for (int n = 0; n < nodes; n++) {
            if (n != node && mesh.links[n] == null) {
                throw new IllegalArgumentException("no connection to node " + n);
            }
        }
        mesh.start();
        return mesh;
    }

    private void start() {
        for (NodeLink link : links) {
            if (link != null) {
                link.readBy(Thread.ofPlatform()
                        .daemon()
                        .name("node-link-" + link.node())
                        .start(() -> read(link)));
            }
        }
        // Two threads: a ping blocks while a node does not read, and that is what the watch must notice.
        Thread.ofPlatform().daemon().name("node-ping").start(() -> everySecond(this::ping));
        Thread.ofPlatform().daemon().name("node-watch").start(() -> everySecond(this::watch));
    }

    /** This node. */
    public int node() {
        return node;
    }

    /** Nodes of the server. */
    public int nodes() {
        return links.length;
    }

    /** "node 1 (10.0.0.2:41234)". */
    public String name(int of) {
        NodeLink link = links[of];
        return link == null ? "node " + of : link.name();
    }

    /**
     * Takes the messages of a channel. A message that comes before its channel is opened waits, and the connection with
     * it: channels are opened before anything is sent on them.
     */
    public void open(int channel, FrameReceiver receiver) {
        if (channel < 0 || channels.putIfAbsent(channel, receiver) != null) {
            throw new IllegalArgumentException("channel " + channel + " is negative or open already");
        }
    }

    /** Told once when the mesh is over, at once when it is already. */
    public void whenOver(Consumer<End> listener) {
        listeners.add(listener);
        End over = end.get();
        if (over != null && listeners.remove(listener)) {
            listener.accept(over);
        }
    }

    /** Why the mesh is over; null while it lives. */
    public @Nullable End end() {
        return end.get();
    }

    /**
     * Sends a message to another node; returns when it has been handed to the system.
     *
     * @param payload {@code frame.bytes()} of all together, from their positions on; free again on return
     * @throws TensorException PEER when the mesh is over
     */
    public void send(int to, Frame frame, ByteBuffer... payload) {
        NodeLink link = links[to];
        if (link == null) {
            throw new IllegalArgumentException("node " + to + " is this one");
        }
        throwIfOver();
        try {
            link.send(frame, payload);
        } catch (IOException e) {
            unwritable(link, e);
            throwIfOver();
        }
    }

    private void throwIfOver() {
        End over = end.get();
        if (over != null) {
            throw over.cause() == null
                    ? new TensorException(TensorException.Code.PEER, over.text())
                    : new TensorException(TensorException.Code.PEER, over.text(), over.cause());
        }
    }

    private void read(NodeLink link) {
        try {
            while (true) {
                Frame frame = link.next();
                if (frame.channel() == OWN_CHANNEL) {
                    own(link, frame);
                } else {
                    FrameReceiver receiver = receiver(frame.channel());
                    if (receiver == null) {
                        return;
                    }
                    if (frame.bytes() > 0) {
                        read(link, frame, receiver);
                    }
                    receiver.received(link.node(), frame);
                }
            }
        } catch (IOException e) {
            lost(link, e);
        } catch (RuntimeException e) {
            fail("a message of " + link.name() + " was not understood: " + e, e);
        }
    }

    private static void read(NodeLink link, Frame frame, FrameReceiver receiver) throws IOException {
        ByteBuffer buffer = receiver.buffer(link.node(), frame);
        try {
            link.read(buffer.slice(buffer.position(), Math.toIntExact(frame.bytes())));
        } catch (IOException | RuntimeException e) {
            receiver.dropped(link.node(), frame);
            throw e;
        }
    }

    private @Nullable FrameReceiver receiver(int channel) {
        FrameReceiver receiver = channels.get(channel);
        long waitUntil = System.nanoTime() + silence.toNanos();
        while (receiver == null && end.get() == null) {
            if (System.nanoTime() > waitUntil) {
                throw new IllegalStateException("nobody takes channel " + channel);
            }
            LockSupport.parkNanos(1_000_000);
            receiver = channels.get(channel);
        }
        return receiver;
    }

    private void own(NodeLink link, Frame frame) throws IOException {
        if (frame.kind() == PING) {
            return;
        }
        if (frame.bytes() > LONGEST_TEXT) {
            throw new IOException("a text of " + frame.bytes() + " bytes");
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) frame.bytes());
        link.read(bytes);
        String text = StandardCharsets.UTF_8.decode(bytes.flip()).toString();
        link.ended();
        if (frame.kind() == BYE) {
            over(new End(link.name() + " has ended" + (text.isEmpty() ? "" : ": " + text), link.node(), null), false);
        } else {
            over(new End(link.name() + ": " + text, -1, null), false);
        }
    }

    /** A peer that cannot be written to may have said why: its last words are read first. */
    private void unwritable(NodeLink link, IOException e) {
        link.awaitRead(LAST_WORDS);
        lost(link, e);
    }

    private void lost(NodeLink link, IOException e) {
        if (!link.hasEnded()) {
            over(new End(link.name() + " is gone: " + e.getMessage(), -1, null), true);
        }
    }

    /** Ends the mesh with a reason that every node learns; the first reason stays. */
    public void fail(String text, @Nullable Throwable cause) {
        over(new End(text, -1, cause), true);
    }

    private void over(End why, boolean tell) {
        if (!end.compareAndSet(null, why)) {
            return;
        }
        if (tell) {
            say(FAIL, why.text());
        }
        for (Consumer<End> listener : listeners) {
            if (listeners.remove(listener)) {
                listener.accept(why);
            }
        }
    }

    private void say(int kind, String text) {
        byte[] bytes =
                text.substring(0, Math.min(text.length(), LONGEST_TEXT / 4)).getBytes(StandardCharsets.UTF_8);
        for (NodeLink link : links) {
            if (link != null && !link.hasEnded()) {
                try {
                    boolean sent =
                            link.trySend(Frame.message(OWN_CHANNEL, kind, bytes.length), ByteBuffer.wrap(bytes), 200);
                    if (!sent) {
                        link.close();
                    }
                } catch (IOException e) {
                    link.ended();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    link.close();
                }
            }
        }
    }

    private void everySecond(Consumer<NodeLink> action) {
        try {
            while (!closed.get()) {
                for (NodeLink link : links) {
                    if (link != null && !link.hasEnded()) {
                        action.accept(link);
                    }
                }
                Thread.sleep(Math.min(PING_NANOS, silence.toNanos() / 4) / 1_000_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void ping(NodeLink link) {
        try {
            link.trySend(Frame.message(OWN_CHANNEL, PING, 0), NOTHING.duplicate(), 0);
        } catch (IOException e) {
            unwritable(link, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void watch(NodeLink link) {
        if (System.nanoTime() - link.heardNanos() > silence.toNanos()) {
            // Closing wakes whoever is blocked in writing to it.
            link.ended();
            link.close();
            over(new End("nothing was heard of " + link.name() + " for " + silence, -1, null), true);
        }
    }

    /** Tells the others that this node ends, and ends. */
    @Override
    public void close() {
        close("");
    }

    /** As {@link #close()}, with a reason for people. */
    public void close(String reason) {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        if (end.get() == null) {
            say(BYE, reason);
        }
        over(new End("this node has ended", node, null), false);
        for (NodeLink link : links) {
            if (link != null) {
                link.ended();
                link.close();
            }
        }
    }
}
