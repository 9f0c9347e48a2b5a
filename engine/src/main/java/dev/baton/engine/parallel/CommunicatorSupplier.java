package dev.baton.engine.parallel;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.RankCommunicators.Member;
import dev.baton.tensor.Device;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import dev.baton.tensor.parallel.LocalPointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Joins a rank to its groups; called on the rank's own thread, on all ranks at about the same time. */
@FunctionalInterface
public interface CommunicatorSupplier {
    /** @param rank of the replica */
    RankCommunicators join(int rank, Device device);

    /** A rank's messages beside its groups, on this supplier's network: the machine's own unless one is modelled. */
    default PointToPoint messages(PointToPoint inMemory) {
        return inMemory;
    }

    /**
     * Opens messages among some ranks beside their groups. Every JVM opens the same, in the same order.
     *
     * @param depth open sends, and as many open receives, from one rank to another
     * @return the ends of those that live here, by number
     */
    default Map<Integer, PointToPoint> openMessages(List<Integer> ranks, int depth, Duration deadline) {
        return byRank(ranks, LocalPointToPoint.group(ranks.size(), depth, deadline));
    }

    /** Ends by the numbers of their ranks. */
    static Map<Integer, PointToPoint> byRank(List<Integer> ranks, List<PointToPoint> ends) {
        Map<Integer, PointToPoint> all = new HashMap<>();
        for (PointToPoint end : ends) {
            all.put(ranks.get(end.rank()), end);
        }
        return all;
    }

    /**
     * Ranks that are threads of this JVM.
     *
     * @param deadline how long a rank waits for the others in one collective
     */
    static CommunicatorSupplier local(ParallelShape shape, Duration deadline) {
        return local(shape, PipelineOptions.DEFAULT.messages(), deadline);
    }

    /**
     * Ranks that are threads of this JVM.
     *
     * @param stageMessages messages that may be under way from one pipeline stage to another
     * @param deadline how long a rank waits for the others in one collective or message
     */
    static CommunicatorSupplier local(ParallelShape shape, int stageMessages, Duration deadline) {
        List<List<PointToPoint>> stages = new ArrayList<>();
        for (int inStage = 0; inStage < shape.tensorParallel(); inStage++) {
            stages.add(LocalPointToPoint.group(shape.pipelineParallel(), stageMessages, deadline));
        }
        Map<List<Integer>, List<Communicator>> groups = new HashMap<>();
        Map<List<Integer>, List<Communicator>> dispatch = new HashMap<>();
        List<RankCommunicators> ranks = new ArrayList<>();
        for (int rank = 0; rank < shape.replicaRanks(); rank++) {
            RankCommunicators own = of(shape, rank, opener(groups, rank, deadline))
                    .withStages(stages.get(shape.tensorRankOf(rank)).get(shape.stageOf(rank)));
            if (shape.allToAll() != AllToAll.NONE) {
                List<Integer> members = own.experts().ranks();
                own = own.withDispatch(
                        new Member(opener(dispatch, rank, deadline).open(members), members));
            }
            ranks.add(own);
        }
        List<RankCommunicators> all = Collections.unmodifiableList(ranks);
        return (rank, device) -> all.get(rank);
    }

    private static GroupOpener opener(Map<List<Integer>, List<Communicator>> groups, int rank, Duration deadline) {
        return members -> groups.computeIfAbsent(members, m -> LocalCommunicator.group(m.size(), deadline))
                .get(members.indexOf(rank));
    }

    /** Makes this rank's end of the group of some ranks. */
    @FunctionalInterface
    interface GroupOpener {
        Communicator open(List<Integer> ranks);
    }

    /** A rank's groups as the shape cuts them; groups of the same ranks are opened once. */
    static RankCommunicators of(ParallelShape shape, int rank, GroupOpener opener) {
        int first = shape.stageOf(rank) * shape.tensorParallel();
        int inStage = shape.tensorRankOf(rank);
        int attention = shape.attentionTensorParallel();
        int columns = shape.expertTensorParallel();
        Map<List<Integer>, Member> opened = new HashMap<>();
        GroupOpener open = opener;
        return new RankCommunicators(
                opened.computeIfAbsent(range(first, shape.tensorParallel(), 1), m -> new Member(open.open(m), m)),
                opened.computeIfAbsent(
                        range(first + inStage / attention * attention, attention, 1), m -> new Member(open.open(m), m)),
                opened.computeIfAbsent(
                        range(first + inStage % columns, shape.expertParallel(), columns),
                        m -> new Member(open.open(m), m)));
    }

    private static List<Integer> range(int first, int count, int step) {
        List<Integer> ranks = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ranks.add(first + i * step);
        }
        return ranks;
    }
}
