package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/** Attention of one layer. */
public sealed interface AttentionBlock permits GroupedAttention, LatentAttention {
    /**
     * Writes the new tokens' cache rows, attends, and sums the result over the ranks.
     *
     * @param layer which cache
     * @param x normed hidden state, F32 [T, hidden]
     * @param out F32 [T, hidden]; may be x
     */
    void forward(ForwardContext context, int layer, Tensor x, Tensor out);
}
