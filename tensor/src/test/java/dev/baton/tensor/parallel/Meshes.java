package dev.baton.tensor.parallel;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Nodes of this JVM that talk over real connections. */
final class Meshes implements AutoCloseable {
    final List<NodeMesh> nodes = new ArrayList<>();

    static Meshes connected(int size, Duration silence) throws IOException {
        List<List<NodeMesh.Peer>> peers = new ArrayList<>();
        for (int n = 0; n < size; n++) {
            peers.add(new ArrayList<>());
        }
        for (int a = 0; a < size; a++) {
            for (int b = a + 1; b < size; b++) {
                SocketChannel[] pair = pair();
                peers.get(a).add(new NodeMesh.Peer(b, "test:" + b, pair[0]));
                peers.get(b).add(new NodeMesh.Peer(a, "test:" + a, pair[1]));
            }
        }
        Meshes meshes = new Meshes();
        for (int n = 0; n < size; n++) {
            meshes.nodes.add(NodeMesh.of(n, size, peers.get(n), silence));
        }
        return meshes;
    }

    /** Two ends of a connection. */
    static SocketChannel[] pair() throws IOException {
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            SocketChannel one = SocketChannel.open(listener.getLocalAddress());
            return new SocketChannel[] {one, listener.accept()};
        }
    }

    /** The communicators of a group with so many ranks on each node, in rank order. */
    List<Communicator> group(int channel, int[] ranksOfNode, Duration deadline) {
        List<Integer> nodeOf = new ArrayList<>();
        for (int n = 0; n < ranksOfNode.length; n++) {
            for (int r = 0; r < ranksOfNode[n]; r++) {
                nodeOf.add(n);
            }
        }
        int[] array = nodeOf.stream().mapToInt(Integer::intValue).toArray();
        List<Communicator> all = new ArrayList<>();
        for (int n = 0; n < ranksOfNode.length; n++) {
            if (ranksOfNode[n] > 0) {
                all.addAll(NodeCommunicator.group(nodes.get(n), channel, array, deadline));
            }
        }
        return all;
    }

    @Override
    public void close() {
        nodes.forEach(NodeMesh::close);
    }
}
