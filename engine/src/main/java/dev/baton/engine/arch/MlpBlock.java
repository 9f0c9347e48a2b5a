package dev.baton.engine.arch;

import dev.baton.engine.arch.StepShape.Gathered;
import dev.baton.tensor.Tensor;

/** MLP of one layer. */
public sealed interface MlpBlock permits DenseMlp, MoeMlp {
    /** Which tokens it computes on one rank. */
    TokenExchange.Scope scope();

    /**
     * Computes this rank's part of a sum over ranks, or whole results, as {@link #scope} says.
     *
     * @param rows which of x's rows have content when they are all groups'
     * @param x normed hidden state [T, hidden]
     * @param out [T, hidden]; not x
     */
    void forward(ForwardContext context, Gathered rows, Tensor x, Tensor out);
}
