package dev.baton.engine.node;

import dev.baton.engine.EngineException;
import dev.baton.tensor.parallel.NodeMesh;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * How the nodes of a server find each other: node 0 listens, the others call it until it answers, all compare what must be
 * the same, then each pair connects. Whoever cannot be part of it, is missing or late makes every node that is there give
 * up with the reason.
 */
public final class NodeJoin {
    private static final Duration BETWEEN_CALLS = Duration.ofMillis(200);
    private static final Duration CALL_LIMIT = Duration.ofSeconds(5);

    private NodeJoin() {}

    /**
     * Waits for the other nodes.
     *
     * @param facts what must be the same on all nodes (version, model, flags), by the name to complain with
     * @throws EngineException CONFIGURATION when the nodes do not fit together, UNAVAILABLE when one does not come
     */
    public static NodeMesh join(NodeOptions options, Map<String, String> facts) {
        return options.node() == 0 ? NodeGathering.open(options, facts).complete() : new Caller(options, facts).join();
    }

    /** A node that is not node 0. */
    private static final class Caller {
        private final NodeOptions options;
        private final Map<String, String> facts;
        private final long deadline;
        private final List<SocketChannel> open = new ArrayList<>();

        Caller(NodeOptions options, Map<String, String> facts) {
            this.options = options;
            this.facts = facts;
            this.deadline = System.nanoTime() + options.joinLimit().toNanos();
        }

        private Duration left() {
            return Duration.ofNanos(Math.max(1_000_000, deadline - System.nanoTime()));
        }

        NodeMesh join() {
            try (ServerSocketChannel listener = ServerSocketChannel.open()) {
                listener.bind(new InetSocketAddress(0));
                SocketChannel zero = call();
                open.add(zero);
                int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
                JoinMessage.send(zero, new JoinMessage.Hello(options.node(), options.nodes(), port, facts));
                JoinMessage answer = JoinMessage.read(zero, left());
                if (!(answer instanceof JoinMessage.Welcome welcome)) {
                    throw unexpected(answer);
                }
                List<NodeMesh.Peer> peers = connect(welcome, listener);
                peers.add(new NodeMesh.Peer(0, options.address(), zero));
                JoinMessage.send(zero, new JoinMessage.Connected());
                answer = JoinMessage.read(zero, left());
                if (!(answer instanceof JoinMessage.Go)) {
                    throw unexpected(answer);
                }
                return NodeMesh.of(options.node(), options.nodes(), peers, options.silence());
            } catch (IOException e) {
                closeAll();
                throw failed(e);
            } catch (RuntimeException e) {
                closeAll();
                throw e;
            }
        }

        /** Node 0 may be started later. */
        private SocketChannel call() throws IOException {
            IOException last = new IOException("no answer");
            while (deadline - System.nanoTime() > 0) {
                SocketChannel socket = SocketChannel.open();
                try {
                    Duration limit = left().compareTo(CALL_LIMIT) < 0 ? left() : CALL_LIMIT;
                    socket.socket()
                            .connect(new InetSocketAddress(options.host(), options.port()), (int) limit.toMillis());
                    return socket;
                } catch (IOException e) {
                    last = e;
                    socket.close();
                }
                pause();
            }
            throw new EngineException(
                    EngineException.Code.UNAVAILABLE,
                    "node 0 was not reached at --dist-init-addr " + options.address() + " within "
                            + options.joinLimit() + " (" + last.getMessage()
                            + "): start it with the same address and --node-rank 0");
        }

        private static void pause() {
            try {
                Thread.sleep(BETWEEN_CALLS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new EngineException(EngineException.Code.UNAVAILABLE, "interrupted while calling node 0", e);
            }
        }

        /** Calls the nodes before this one, takes the calls of those after it. */
        private List<NodeMesh.Peer> connect(JoinMessage.Welcome welcome, ServerSocketChannel listener)
                throws IOException {
            List<NodeMesh.Peer> peers = new ArrayList<>();
            for (int n = 1; n < options.node(); n++) {
                String address = welcome.addresses().get(n);
                int colon = address.lastIndexOf(':');
                SocketChannel socket = SocketChannel.open();
                open.add(socket);
                int port = Integer.parseInt(address.substring(colon + 1));
                socket.socket()
                        .connect(new InetSocketAddress(address.substring(0, colon), port), (int) left().toMillis());
                JoinMessage.send(socket, new JoinMessage.Peer(welcome.token(), options.node()));
                peers.add(new NodeMesh.Peer(n, address, socket));
            }
            while (peers.size() < options.nodes() - 2) {
                listener.socket().setSoTimeout((int) left().toMillis());
                SocketChannel socket = listener.socket().accept().getChannel();
                open.add(socket);
                if (JoinMessage.read(socket, left()) instanceof JoinMessage.Peer peer
                        && peer.token() == welcome.token()) {
                    peers.add(new NodeMesh.Peer(peer.node(), welcome.addresses().get(peer.node()), socket));
                } else {
                    socket.close();
                }
            }
            return peers;
        }

        private EngineException unexpected(JoinMessage answer) {
            return answer instanceof JoinMessage.Refused refused
                    ? new EngineException(
                            EngineException.Code.CONFIGURATION,
                            "node 0 (" + options.address() + "): " + refused.reason())
                    : new EngineException(
                            EngineException.Code.UNAVAILABLE,
                            "node 0 (" + options.address() + ") said " + answer + " out of turn");
        }

        private EngineException failed(IOException e) {
            String why = switch (e) {
                case SocketTimeoutException t ->
                    "not all of the " + options.nodes() + " nodes came within " + options.joinLimit();
                case EOFException t -> "node 0 closed the connection while the nodes gathered";
                default -> String.valueOf(e.getMessage());
            };
            return new EngineException(
                    EngineException.Code.UNAVAILABLE,
                    "node " + options.node() + " did not join the server at --dist-init-addr " + options.address()
                            + ": " + why,
                    e);
        }

        private void closeAll() {
            for (SocketChannel socket : open) {
                NodeGathering.close(socket);
            }
        }
    }
}
