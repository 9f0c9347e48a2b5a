package dev.baton.engine.node;

import dev.baton.engine.EngineException;
import dev.baton.tensor.parallel.NodeMesh;
import java.io.IOException;
import java.lang.System.Logger;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Node 0 while the nodes gather. It goes on listening until the server ends, so that a node that comes too late, or with a
 * number that is taken, is told so.
 */
final class NodeGathering {
    private static final Logger LOG = System.getLogger(NodeGathering.class.getName());
    private static final Duration HELLO_LIMIT = Duration.ofSeconds(10);
    /** How long a node that has called is waited for, to be told why there is no server. */
    private static final Duration LATE_HELLO = Duration.ofSeconds(5);

    private final NodeOptions options;
    private final Map<String, String> facts;
    private final ServerSocketChannel listener;
    private final @Nullable Guest[] guests;
    private @Nullable String failure;
    private boolean complete;
    /** Calls that have been taken and whose hello has not been answered. */
    private int greeting;

    /** A node that has come. */
    private record Guest(SocketChannel socket, String address) {}

    private NodeGathering(NodeOptions options, Map<String, String> facts, ServerSocketChannel listener) {
        this.options = options;
        this.facts = facts;
        this.listener = listener;
        this.guests = new Guest[options.nodes()];
    }

    /** Begins to listen. */
    static NodeGathering open(NodeOptions options, Map<String, String> facts) {
        try {
            ServerSocketChannel listener = ServerSocketChannel.open();
            try {
                listener.bind(new InetSocketAddress(options.host(), options.port()));
            } catch (IOException | RuntimeException e) {
                listener.close();
                throw e;
            }
            NodeGathering gathering = new NodeGathering(options, facts, listener);
            Thread.ofPlatform().daemon().name("node-gathering").start(gathering::listen);
            LOG.log(
                    Logger.Level.INFO,
                    "node 0 waits for " + (options.nodes() - 1) + " more at " + options.address() + " (at most "
                            + options.joinLimit() + ")");
            return gathering;
        } catch (IOException | RuntimeException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--node-rank 0 cannot listen at --dist-init-addr " + options.address() + " (" + e.getMessage()
                            + "): it must be an address of this host with a free port; another node 0 may have it",
                    e);
        }
    }

    private void listen() {
        while (true) {
            try {
                SocketChannel socket = listener.accept();
                greeting(1);
                Thread.ofVirtual().start(() -> greet(socket));
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                LOG.log(Logger.Level.WARNING, "a node's connection was not taken: " + e.getMessage());
            }
        }
    }

    private synchronized void greeting(int change) {
        greeting += change;
        notifyAll();
    }

    private void greet(SocketChannel socket) {
        try {
            answer(socket);
        } finally {
            greeting(-1);
        }
    }

    private void answer(SocketChannel socket) {
        try {
            String address = address(socket);
            if (JoinMessage.read(socket, HELLO_LIMIT) instanceof JoinMessage.Hello hello) {
                take(socket, address, hello);
                return;
            }
        } catch (IOException e) {
            LOG.log(Logger.Level.WARNING, "a call at " + options.address() + " was no node's: " + e.getMessage());
        }
        close(socket);
    }

    /** host:port as other nodes can reach the host: one on this host is where node 0 is. */
    private String address(SocketChannel socket) throws IOException {
        InetSocketAddress remote = (InetSocketAddress) socket.getRemoteAddress();
        String host = remote.getAddress().isLoopbackAddress()
                ? options.host()
                : remote.getAddress().getHostAddress();
        return host + ":" + remote.getPort();
    }

    /**
     * Keeps the node, or refuses it. A refused node is told before anybody learns that the nodes do not fit: this process
     * may end as soon as that is known.
     */
    private synchronized void take(SocketChannel socket, String address, JoinMessage.Hello hello) {
        String host = address.substring(0, Math.max(0, address.lastIndexOf(':')));
        String reachable = host + ":" + hello.port();
        String refusal = refusal(hello, reachable);
        if (refusal == null) {
            guests[hello.node()] = new Guest(socket, reachable);
            LOG.log(Logger.Level.INFO, "node " + hello.node() + " has come from " + address);
        } else {
            LOG.log(Logger.Level.ERROR, refusal);
            refuse(socket, address, refusal);
            if (!complete && failure == null) {
                failure = refusal;
            }
        }
        notifyAll();
    }

    private static void refuse(SocketChannel socket, String address, String reason) {
        try {
            JoinMessage.send(socket, new JoinMessage.Refused(reason));
        } catch (IOException e) {
            LOG.log(Logger.Level.DEBUG, address + " was not told: " + e.getMessage());
        }
        close(socket);
    }

    private @Nullable String refusal(JoinMessage.Hello hello, String address) {
        if (failure != null) {
            return failure;
        }
        if (hello.nodes() != options.nodes()) {
            return "the node at " + address + " has --nnodes " + hello.nodes() + ", node 0 has " + options.nodes();
        }
        if (hello.node() == 0) {
            return "there are two nodes with --node-rank 0: the one at --dist-init-addr " + options.address()
                    + " and another at " + address + "; every node needs a rank of its own";
        }
        if (hello.node() < 0 || hello.node() >= options.nodes()) {
            return "the node at " + address + " has --node-rank " + hello.node() + ", which is not in [0, "
                    + options.nodes() + ")";
        }
        Guest there = guests[hello.node()];
        if (there != null && (complete || isOpen(there.socket()))) {
            return "there are two nodes with --node-rank " + hello.node() + ": " + there.address() + " and " + address
                    + "; every node needs a rank of its own" + (complete ? " (the server is complete)" : "");
        }
        return difference(hello, address);
    }

    private @Nullable String difference(JoinMessage.Hello hello, String address) {
        TreeSet<String> names = new TreeSet<>(facts.keySet());
        names.addAll(hello.facts().keySet());
        List<String> differences = new ArrayList<>();
        for (String name : names) {
            String here = facts.getOrDefault(name, "absent");
            String there = hello.facts().getOrDefault(name, "absent");
            if (!here.equals(there)) {
                differences.add(name + " is " + there + " there and " + here + " on node 0");
            }
        }
        return differences.isEmpty()
                ? null
                : "node " + hello.node() + " (" + address + ") was started differently: "
                        + String.join("; ", differences);
    }

    /** A node that waits says nothing; an end of stream means that it has gone. */
    private static boolean isOpen(SocketChannel socket) {
        try {
            socket.configureBlocking(false);
            boolean open = socket.read(ByteBuffer.allocate(1)) == 0;
            socket.configureBlocking(true);
            return open;
        } catch (IOException e) {
            return false;
        }
    }

    /** Waits until all have come and are connected. */
    NodeMesh complete() {
        try {
            awaitGuests();
            welcome();
            List<NodeMesh.Peer> peers = new ArrayList<>();
            for (int n = 1; n < guests.length; n++) {
                Guest guest = Objects.requireNonNull(guests[n]);
                peers.add(new NodeMesh.Peer(n, guest.address(), guest.socket()));
            }
            NodeMesh mesh = NodeMesh.of(0, options.nodes(), peers, options.silence());
            mesh.whenOver(end -> close(listener));
            return mesh;
        } catch (IOException e) {
            throw giveUp(new EngineException(
                    EngineException.Code.UNAVAILABLE,
                    "a node was lost while the nodes connected to each other: " + e.getMessage(),
                    e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw giveUp(new EngineException(EngineException.Code.UNAVAILABLE, "interrupted", e));
        } catch (EngineException e) {
            throw giveUp(e);
        }
    }

    private synchronized void awaitGuests() throws InterruptedException {
        long deadline = System.nanoTime() + options.joinLimit().toNanos();
        while (failure == null && missing().size() > 0) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                failure = "nodes " + missing() + " of " + options.nodes() + " did not come to --dist-init-addr "
                        + options.address() + " within " + options.joinLimit()
                        + ": start each with --nnodes " + options.nodes()
                        + " and its own --node-rank, or set --dist-timeout";
                throw new EngineException(EngineException.Code.UNAVAILABLE, failure);
            }
            wait(Math.max(1, left / 1_000_000));
        }
        if (failure != null) {
            throw new EngineException(EngineException.Code.CONFIGURATION, failure);
        }
        complete = true;
    }

    private List<Integer> missing() {
        List<Integer> missing = new ArrayList<>();
        for (int n = 1; n < guests.length; n++) {
            if (guests[n] == null) {
                missing.add(n);
            }
        }
        return missing;
    }

    private void welcome() throws IOException {
        List<String> addresses = new ArrayList<>(List.of(""));
        for (int n = 1; n < guests.length; n++) {
            addresses.add(Objects.requireNonNull(guests[n]).address());
        }
        JoinMessage.Welcome welcome = new JoinMessage.Welcome(new SecureRandom().nextLong(), addresses);
        sendAll(welcome);
        for (int n = 1; n < guests.length; n++) {
            Guest guest = Objects.requireNonNull(guests[n]);
            if (!(JoinMessage.read(guest.socket(), options.joinLimit()) instanceof JoinMessage.Connected)) {
                throw new IOException("node " + n + " (" + guest.address() + ") spoke out of turn");
            }
            guest.socket().socket().setSoTimeout(0);
        }
        sendAll(new JoinMessage.Go());
    }

    private void sendAll(JoinMessage message) throws IOException {
        for (Guest guest : guests) {
            if (guest != null) {
                JoinMessage.send(guest.socket(), message);
            }
        }
    }

    /** Tells those who came and those who are just coming, and no longer listens. */
    private synchronized EngineException giveUp(EngineException why) {
        failure = why.getMessage();
        for (Guest guest : guests) {
            if (guest != null) {
                refuse(guest.socket(), guest.address(), String.valueOf(why.getMessage()));
            }
        }
        long deadline = System.nanoTime() + LATE_HELLO.toNanos();
        try {
            for (long left = 1; greeting > 0 && left > 0; left = (deadline - System.nanoTime()) / 1_000_000) {
                wait(left);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        close(listener);
        return why;
    }

    static void close(java.io.Closeable socket) {
        try {
            socket.close();
        } catch (IOException e) {
            LOG.log(Logger.Level.DEBUG, "a connection did not close: " + e.getMessage());
        }
    }
}
