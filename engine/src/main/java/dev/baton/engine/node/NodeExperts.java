package dev.baton.engine.node;

import dev.baton.engine.balance.ExpertStatistics;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.record.ExpertRecorder;
import dev.baton.tensor.TensorException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Experts' loads of a server of several nodes: every node counts what its ranks route and tells node 0 after each pass that
 * somebody wants; node 0 records, measures and writes.
 */
public final class NodeExperts implements ExpertRecorder.OtherRanks {
    private final NodeShare share;
    private final RankGroup group;

    private NodeExperts(NodeShare share, RankGroup group) {
        this.share = share;
        this.group = group;
    }

    /** On node 0: takes what the others have counted. @param group any group of the replica */
    public static NodeExperts of(NodeShare share, RankGroup group) {
        ExpertStatistics statistics = statistics(group);
        if (statistics != null) {
            share.whenPassesEnd(statistics::deliver);
        }
        return new NodeExperts(share, group);
    }

    private static @Nullable ExpertStatistics statistics(RankGroup group) {
        return group.expertStatistics();
    }

    @Override
    public CompletableFuture<Void> record(long number) {
        return share.ask(NodeMessages.Kind.EXPERTS_RECORD, body -> body.putLong(number));
    }

    /** Messages of a node keep their order: behind its answer lies every pass that it had to tell. */
    @Override
    public CompletableFuture<Void> settle() {
        return share.ask(NodeMessages.Kind.EXPERTS_SETTLE, body -> {});
    }

    @Override
    public void inOrder(Runnable action) {
        group.inOrder(action);
    }

    /** On a node that is not node 0: tells node 0 what the ranks here have counted. */
    static void follow(NodeShare share, RankGroup group) {
        ExpertStatistics statistics = statistics(group);
        if (statistics == null) {
            return;
        }
        statistics.recordElsewhere(pass -> {
            WireBuffer body = new WireBuffer();
            PassCodec.write(body, pass);
            try {
                share.messages().send(0, NodeMessages.Kind.EXPERTS, body);
            } catch (TensorException e) {
                // The mesh is over, and node 0 knows.
                System.getLogger(NodeExperts.class.getName())
                        .log(System.Logger.Level.DEBUG, "node 0 was not told of a pass: " + e.getMessage());
            }
        });
    }

    /** On a node that is not node 0: from here on passes are recorded under a number; 0 for not. */
    static CompletableFuture<Void> record(RankGroup group, long number) {
        return group.runOnReplica(rank -> {
            var experts = group.replicaRunner(rank).balance();
            if (experts != null) {
                experts.record(number);
            }
        });
    }
}
