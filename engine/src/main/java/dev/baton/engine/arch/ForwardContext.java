package dev.baton.engine.arch;

import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import java.util.List;

/**
 * What a forward pass works with. Blocks take operators and communicator from here and never keep them, so that each
 * step can run through other ones (a recorder's).
 *
 * @param communicators the groups of ranks that share this model
 * @param cache one entry a layer
 * @param inputs the step of this rank's attention group
 * @param shape what all groups bring
 * @param queue where collectives run that computing goes on beside
 */
public record ForwardContext(
        Ops ops,
        RankCommunicators communicators,
        Workspace workspace,
        List<LayerCache> cache,
        StepInputs inputs,
        StepShape shape,
        CommunicationQueue queue) {
    /** The same for a part of the step, with a workspace of its own. */
    public ForwardContext of(Workspace partWorkspace, StepInputs partInputs) {
        return new ForwardContext(ops, communicators, partWorkspace, cache, partInputs, shape, queue);
    }

    /** Sums a partial result over the ranks of the stage, in place. */
    void allReduce(Tensor x) {
        sum(communicators.tensor(), x);
    }

    /** Sums a partial result over the ranks of the attention group, in place. */
    void attentionAllReduce(Tensor x) {
        sum(communicators.attention(), x);
    }

    private static void sum(RankCommunicators.Member group, Tensor x) {
        if (group.size() > 1) {
            group.communicator().allReduce(x);
        }
    }

    /** T. */
    int tokens() {
        return inputs.tokens();
    }
}
