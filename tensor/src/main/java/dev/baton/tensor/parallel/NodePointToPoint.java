package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Messages between ranks that live in several JVMs. Ranks of one JVM copy in memory, as {@link LocalPointToPoint} does.
 * To another one the receiver says that its buffer is free, and then the bytes go straight into it: nothing is kept in
 * between, and a sender can tell how long it waited for the receiver from how long the bytes took. A send has ended
 * when the system has its bytes.
 *
 * <p>Host memory only.
 */
public final class NodePointToPoint implements PointToPoint {
    private final NodeMesh mesh;
    private final NodeLines lines;
    private final LocalPointToPoint local;
    private final int[] nodeOf;

    private NodePointToPoint(NodeMesh mesh, NodeLines lines, LocalPointToPoint local, int[] nodeOf) {
        this.mesh = mesh;
        this.lines = lines;
        this.local = local;
        this.nodeOf = nodeOf;
    }

    /**
     * Joins a group; every node with a rank in it calls this with the same arguments.
     *
     * @param channel number of the group in the mesh
     * @param nodeOf node of each rank of the group
     * @param depth open sends, and as many open receives, from one rank to another
     * @param deadline how long a rank waits for the other side of one transfer
     * @return this node's ranks, in rank order
     */
    public static List<PointToPoint> group(NodeMesh mesh, int channel, int[] nodeOf, int depth, Duration deadline) {
        List<LocalPointToPoint> here = LocalPointToPoint.ranks(nodeOf.length, depth, deadline);
        NodeLines lines = new NodeLines(mesh, channel, nodeOf, depth, deadline);
        lines.whenFailed(here.getFirst()::fail);
        List<PointToPoint> ranks = new ArrayList<>();
        for (int rank = 0; rank < nodeOf.length; rank++) {
            if (nodeOf[rank] == mesh.node()) {
                ranks.add(new NodePointToPoint(mesh, lines, here.get(rank), nodeOf.clone()));
            }
        }
        return List.copyOf(ranks);
    }

    @Override
    public int rank() {
        return local.rank();
    }

    @Override
    public int size() {
        return nodeOf.length;
    }

    @Override
    public int depth() {
        return local.depth();
    }

    @Override
    public Transfer send(int peer, List<Tensor> message) {
        local.requirePeer("send", peer);
        return nodeOf[peer] == mesh.node() ? local.send(peer, message) : lines.send(rank(), peer, message);
    }

    @Override
    public Transfer receive(int peer, List<Tensor> buffers) {
        local.requirePeer("receive", peer);
        return nodeOf[peer] == mesh.node() ? local.receive(peer, buffers) : lines.receive(rank(), peer, buffers);
    }

    @Override
    public void abort(Throwable cause) {
        mesh.fail("rank " + rank() + " failed: " + cause, cause);
    }

    /** Leaves the group; other nodes learn of it when this one ends. Returns when no bytes move any more. */
    @Override
    public void close() {
        lines.leave(new TensorException(TensorException.Code.PEER, "rank " + rank() + " has left the group"));
    }
}
