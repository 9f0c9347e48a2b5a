package dev.baton.engine.node;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.RankCommunicators.Member;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.tensor.Device;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import dev.baton.tensor.parallel.LocalPointToPoint;
import dev.baton.tensor.parallel.NodeCommunicator;
import dev.baton.tensor.parallel.NodeMesh;
import dev.baton.tensor.parallel.NodePointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Opens the groups of a node's ranks: in memory where all of a group live here, through the mesh otherwise. Every node
 * numbers the groups alike, by going through all ranks.
 */
final class NodeCommunicators implements CommunicatorSupplier {
    private final NodeMesh mesh;
    private final ParallelShape shape;
    private final IntUnaryOperator nodeOf;
    private final int stageMessages;
    private final Duration deadline;
    private final Map<Group, Opened<Communicator>> groups = new HashMap<>();
    private final Map<List<Integer>, Opened<PointToPoint>> stages = new HashMap<>();
    private final Map<Integer, RankCommunicators> here = new HashMap<>();
    private int channel = NodeMessages.CHANNEL;

    /** The same ranks meet in two groups where tokens travel to their experts. */
    private record Group(boolean dispatch, List<Integer> ranks) {}

    /** Ends of a group's ranks that live here, in rank order; empty where none does. */
    private record Opened<T>(List<T> here) {}

    private NodeCommunicators(
            NodeMesh mesh, ParallelShape shape, IntUnaryOperator nodeOf, int stageMessages, Duration deadline) {
        this.mesh = mesh;
        this.shape = shape;
        this.nodeOf = nodeOf;
        this.stageMessages = stageMessages;
        this.deadline = deadline;
    }

    /**
     * @param nodeOf node of each rank
     * @param stageMessages messages that may be under way from one pipeline stage to another
     * @param deadline how long a rank waits for the others in one collective or message
     */
    static CommunicatorSupplier open(
            NodeMesh mesh, ParallelShape shape, IntUnaryOperator nodeOf, int stageMessages, Duration deadline) {
        NodeCommunicators all = new NodeCommunicators(mesh, shape, nodeOf, stageMessages, deadline);
        for (int rank = 0; rank < shape.replicaRanks(); rank++) {
            RankCommunicators groups = all.groups(rank);
            if (all.isHere(rank)) {
                all.here.put(rank, groups);
            }
        }
        return all;
    }

    @Override
    public RankCommunicators join(int rank, Device device) {
        if (!device.info().kind().equals("cpu")) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--nnodes above 1 needs --device cpu: collectives between hosts read host memory");
        }
        return Objects.requireNonNull(here.get(rank), () -> "rank " + rank + " lives elsewhere");
    }

    @Override
    public Map<Integer, PointToPoint> openMessages(List<Integer> ranks, int depth, Duration limit) {
        return CommunicatorSupplier.byRank(ranks, openMessages(ranks, depth).here);
    }

    private boolean isHere(int rank) {
        return nodeOf.applyAsInt(rank) == mesh.node();
    }

    private RankCommunicators groups(int rank) {
        RankCommunicators joined = CommunicatorSupplier.of(shape, rank, ranks -> group(rank, new Group(false, ranks)));
        if (shape.allToAll() != AllToAll.NONE) {
            List<Integer> experts = joined.experts().ranks();
            joined = joined.withDispatch(new Member(group(rank, new Group(true, experts)), experts));
        }
        List<Integer> places = shape.ranksOfPlace(rank);
        PointToPoint links =
                end(rank, places, stages.computeIfAbsent(places, ranks -> openMessages(ranks, stageMessages)));
        return links == null ? joined : joined.withStages(links);
    }

    private Communicator group(int rank, Group group) {
        Communicator end = end(rank, group.ranks, groups.computeIfAbsent(group, this::openGroup));
        // Of a rank that lives elsewhere, only the numbering matters.
        return end == null
                ? LocalCommunicator.group(group.ranks.size(), deadline).getFirst()
                : end;
    }

    private <T> @Nullable T end(int rank, List<Integer> ranks, Opened<T> group) {
        if (!isHere(rank)) {
            return null;
        }
        List<Integer> here = ranks.stream().filter(this::isHere).toList();
        return group.here.get(here.indexOf(rank));
    }

    private Opened<Communicator> openGroup(Group group) {
        int number = ++channel;
        int[] nodes = nodes(group.ranks);
        return new Opened<>(
                switch (place(nodes)) {
                    case HERE -> LocalCommunicator.group(nodes.length, deadline);
                    case ACROSS -> NodeCommunicator.group(mesh, number, nodes, deadline);
                    case ELSEWHERE -> List.of();
                });
    }

    private Opened<PointToPoint> openMessages(List<Integer> ranks, int depth) {
        int number = ++channel;
        int[] nodes = nodes(ranks);
        return new Opened<>(
                switch (place(nodes)) {
                    case HERE -> LocalPointToPoint.group(nodes.length, depth, deadline);
                    case ACROSS -> NodePointToPoint.group(mesh, number, nodes, depth, deadline);
                    case ELSEWHERE -> List.of();
                });
    }

    private int[] nodes(List<Integer> ranks) {
        return ranks.stream().mapToInt(nodeOf::applyAsInt).toArray();
    }

    /** Where the ranks of a group live. */
    private enum Place {
        HERE,
        ACROSS,
        ELSEWHERE
    }

    private Place place(int[] nodes) {
        return IntStream.of(nodes).allMatch(node -> node == mesh.node())
                ? Place.HERE
                : IntStream.of(nodes).anyMatch(node -> node == mesh.node()) ? Place.ACROSS : Place.ELSEWHERE;
    }
}
