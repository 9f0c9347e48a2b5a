package dev.baton.engine.node;

import dev.baton.engine.ProfileControl;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.GrammarSpec;
import dev.baton.protocol.ProfileRequest;
import dev.baton.tensor.TensorException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A node that does what node 0 decides. */
public final class NodeFollower {
    private final NodeShare share;
    private volatile @Nullable Following following;

    /** What there is once the ranks are. */
    private record Following(
            List<RankGroup> groups, ProfileControl profiles, FollowedGrammars grammars, NodeRole role) {}

    private NodeFollower(NodeShare share) {
        this.share = share;
    }

    /** Begins to listen to node 0; the ranks are not there yet. */
    public static NodeFollower listen(NodeShare share) {
        NodeFollower follower = new NodeFollower(share);
        share.messages().take(follower::take);
        return follower;
    }

    /**
     * The ranks are there: from here on, steps are executed.
     *
     * @param groups the replica's attention groups
     * @param grammars follows an answer through its grammar, where a rank of this node chooses tokens
     * @param role this node's part of half a prefill/decode pair
     */
    public void follow(
            List<RankGroup> groups, ProfileControl profiles, Function<GrammarSpec, Matcher> grammars, NodeRole role) {
        NodeExperts.follow(share, groups.getFirst());
        synchronized (this) {
            following =
                    new Following(List.copyOf(groups), profiles, new FollowedGrammars(groups.size(), grammars), role);
            notifyAll();
        }
    }

    private Following following() throws InterruptedException {
        synchronized (this) {
            while (following == null) {
                wait();
            }
            return following;
        }
    }

    private void take(int node, NodeMessages.Kind kind, WireBuffer body) {
        try {
            switch (kind) {
                case AGREED -> share.agreed(body.intValue());
                case STEP -> step(body);
                case PROFILE_START ->
                    answer(body.longValue(), following().profiles.start(profile(body)));
                case PROFILE_STOP ->
                    answer(body.longValue(), following().profiles.stop());
                case EXPERTS_RECORD -> {
                    long question = body.longValue();
                    answer(question, NodeExperts.record(following().groups.getFirst(), body.longValue()));
                }
                case EXPERTS_SETTLE ->
                    answer(body.longValue(), following().groups.getFirst().runOnReplica(rank -> {}));
                case ROLE -> following().role.told(body);
                case ROLE_ASKED -> answer(body.longValue(), following().role.asked(body));
                case CAPACITY, DONE, RESULT, EXPERTS -> throw new IllegalStateException("only node 0 is told " + kind);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Queues a step; one that fails ends the mesh by itself. */
    private void step(WireBuffer body) throws InterruptedException {
        StepShape shape = new StepShape(body.ints(), body.ints(), body.booleanValue(), body.booleanValue());
        List<StepPlan> plans = body.list(() -> PlanCodec.read(body));
        Following now = following();
        now.role.beforeStep();
        for (int g = 0; g < plans.size(); g++) {
            if (now.groups.get(g).choosesHere()) {
                plans.set(g, now.grammars.follow(g, plans.get(g)));
            }
        }
        now.groups.getFirst().follow(plans, shape);
    }

    private void answer(long question, CompletableFuture<Void> done) {
        done.whenComplete((nothing, fault) -> {
            Throwable cause =
                    fault instanceof CompletionException && fault.getCause() != null ? fault.getCause() : fault;
            WireBuffer body = new WireBuffer();
            body.putLong(question);
            body.putNullable(cause == null ? null : String.valueOf(cause.getMessage()), body::putText);
            try {
                share.messages().send(0, NodeMessages.Kind.DONE, body);
            } catch (TensorException e) {
                // The mesh is over, and node 0 knows.
                System.getLogger(NodeFollower.class.getName())
                        .log(System.Logger.Level.DEBUG, "node 0 was not answered: " + e.getMessage());
            }
        });
    }

    static void profile(WireBuffer out, ProfileRequest request) {
        out.putNullable(request.outputDir(), out::putText);
        out.putNullable(request.startStep(), out::putLong);
        out.putNullable(request.numSteps(), out::putInt);
        out.putList(request.activities(), out::putText);
        out.putBoolean(request.profileByStage());
        out.putNullable(request.withStack(), out::putBoolean);
        out.putNullable(request.recordShapes(), out::putBoolean);
        out.putBoolean(request.mergeProfiles());
        out.putNullable(request.profilePrefix(), out::putText);
        out.putText(request.profileId());
    }

    private static ProfileRequest profile(WireBuffer in) {
        return new ProfileRequest(
                in.nullable(in::text),
                in.nullable(in::longValue),
                in.nullable(in::intValue),
                in.list(in::text),
                in.booleanValue(),
                in.nullable(in::booleanValue),
                in.nullable(in::booleanValue),
                in.booleanValue(),
                in.nullable(in::text),
                in.text());
    }
}
