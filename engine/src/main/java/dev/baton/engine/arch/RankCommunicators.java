package dev.baton.engine.arch;

import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalPointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The groups in which one rank takes part. Groups of the same ranks are one object.
 *
 * @param tensor all ranks of the stage
 * @param attention the ranks that share this rank's requests and KV cache
 * @param experts the ranks that together hold one column range of all experts
 * @param stages the ranks of this one's place in every pipeline stage, in the order of the stages
 * @param dispatch the experts' ranks once more, where tokens travel: its collectives may run beside the others
 */
public record RankCommunicators(Member tensor, Member attention, Member experts, PointToPoint stages, Member dispatch) {
    /** Without a pipeline. */
    public RankCommunicators(Member tensor, Member attention, Member experts) {
        this(
                tensor,
                attention,
                experts,
                LocalPointToPoint.group(1, 1, Duration.ofSeconds(1)).getFirst(),
                experts);
    }

    /** The same groups, and this place in the pipeline. */
    public RankCommunicators withStages(PointToPoint links) {
        return new RankCommunicators(tensor, attention, experts, links, dispatch);
    }

    /** The same groups, and one of its own for tokens that travel to their experts. */
    public RankCommunicators withDispatch(Member group) {
        return new RankCommunicators(tensor, attention, experts, stages, group);
    }

    /**
     * One rank's end of a group.
     *
     * @param ranks the group's ranks, numbered in the replica, in the communicator's order
     */
    public record Member(Communicator communicator, List<Integer> ranks) {
        public Member {
            ranks = List.copyOf(ranks);
            if (ranks.size() != communicator.size()) {
                throw new IllegalArgumentException(
                        "a communicator of " + communicator.size() + " for the ranks " + ranks);
            }
        }

        /** Ranks in the group. */
        public int size() {
            return communicator.size();
        }
    }

    /** The distinct groups. */
    public List<Member> all() {
        return List.of(tensor, attention, experts, dispatch).stream().distinct().toList();
    }

    /** The same groups through other communicators; a group that stands in several places stays one. */
    public RankCommunicators map(UnaryOperator<Member> change) {
        Member newTensor = change.apply(tensor);
        Member newAttention = attention.equals(tensor) ? newTensor : change.apply(attention);
        Member newExperts =
                experts.equals(tensor) ? newTensor : experts.equals(attention) ? newAttention : change.apply(experts);
        Member newDispatch = dispatch.equals(experts) ? newExperts : change.apply(dispatch);
        return new RankCommunicators(newTensor, newAttention, newExperts, stages, newDispatch);
    }

    /** Marks every group failed, so that no rank waits for this one. */
    public void abort(Throwable cause) {
        all().forEach(member -> member.communicator().abort(cause));
        stages.abort(cause);
    }

    /** Leaves every group. */
    public void close() {
        all().forEach(member -> member.communicator().close());
        stages.close();
    }
}
