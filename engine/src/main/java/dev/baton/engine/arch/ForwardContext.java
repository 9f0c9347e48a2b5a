package dev.baton.engine.arch;

import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import java.util.List;

/**
 * What a forward pass works with. Blocks take operators and communicator from here and never keep them, so that each
 * step can run through other ones (a recorder's).
 *
 * @param communicator the ranks that share this model
 * @param cache one entry a layer
 */
public record ForwardContext(
        Ops ops, Communicator communicator, Workspace workspace, List<LayerCache> cache, StepInputs inputs) {
    /** Sums a partial result over the ranks, in place. */
    void allReduce(Tensor x) {
        if (communicator.size() > 1) {
            communicator.allReduce(x);
        }
    }

    /** T. */
    int tokens() {
        return inputs.tokens();
    }
}
