package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/**
 * One layer: norm, attention, norm, MLP.
 *
 * @param attentionNorm F32 [hidden]
 * @param mlpNorm F32 [hidden]
 */
record DecoderLayer(Tensor attentionNorm, AttentionBlock attention, Tensor mlpNorm, MlpBlock mlp) {}
