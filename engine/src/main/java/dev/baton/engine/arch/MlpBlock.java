package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/** MLP of one layer. */
public sealed interface MlpBlock permits DenseMlp, MoeMlp {
    /**
     * @param x normed hidden state, F32 [T, hidden]
     * @param out F32 [T, hidden], summed over the ranks; not x
     */
    void forward(ForwardContext context, Tensor x, Tensor out);
}
