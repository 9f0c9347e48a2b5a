package dev.baton.app;

import dev.baton.model.DType;
import dev.baton.model.config.MlaConfig;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.config.MoeConfig;

/**
 * What a forward pass has to read and to compute at least, from a model's shape: weights once, every cached position of a
 * sequence once, two operations a weight and token. What measured times are held against.
 *
 * @param attentionParameters of all layers
 * @param mlpParameters of all dense MLPs and shared experts
 * @param expertParameters of one routed expert
 * @param sparseLayers layers with routed experts
 * @param headParameters of the output projection
 * @param cacheElements of one token in all layers
 */
record ForwardCost(
        ModelConfig config,
        double attentionParameters,
        double mlpParameters,
        double expertParameters,
        int sparseLayers,
        double headParameters,
        double cacheElements) {
    static ForwardCost of(ModelConfig config) {
        double hidden = config.hiddenSize();
        MlaConfig mla = config.mla();
        double attention;
        double cache;
        if (mla == null) {
            double heads = (double) config.heads() * config.headDim();
            double kv = (double) config.kvHeads() * config.headDim();
            attention = hidden * (2 * heads + 2 * kv);
            cache = 2 * kv;
        } else {
            double queries = (double) config.heads() * mla.qkHeadDim();
            attention = (mla.hasQueryLowRank() ? mla.qLoraRank() * (hidden + queries) : hidden * queries)
                    + hidden * (mla.kvLoraRank() + mla.qkRopeHeadDim())
                    + (double) mla.kvLoraRank() * config.heads() * (mla.qkNopeHeadDim() + mla.vHeadDim())
                    + (double) config.heads() * mla.vHeadDim() * hidden;
            cache = mla.kvLoraRank() + mla.qkRopeHeadDim();
        }
        MoeConfig moe = config.moe();
        double mlp = 0;
        int sparse = 0;
        for (int layer = 0; layer < config.layers(); layer++) {
            if (moe != null && config.sparse(layer)) {
                sparse++;
                mlp += hidden * moe.experts() + 3 * hidden * moe.sharedIntermediateSize();
            } else {
                mlp += 3 * hidden * config.intermediateSize();
            }
        }
        return new ForwardCost(
                config,
                attention * config.layers(),
                mlp,
                moe == null ? 0 : 3 * hidden * moe.intermediateSize(),
                sparse,
                hidden * config.vocabSize(),
                cache * config.layers());
    }

    /** Routed experts of a layer that {@code tokens} tokens of independent choices touch on average. */
    private double touched(double tokens) {
        MoeConfig moe = config.moe();
        return moe == null ? 0 : moe.experts() * (1 - Math.pow(1 - (double) moe.topK() / moe.experts(), tokens));
    }

    /**
     * Bytes that a decode step reads. A quantised model's layers have one byte a parameter, its head has not.
     *
     * @param cacheBytes of a cached element
     */
    double decodeBytes(int batch, int context, double cacheBytes) {
        double wide = config.dtype().bytes();
        double narrow = config.quantization() == null ? wide : DType.F8_E4M3.bytes();
        double layers = attentionParameters + mlpParameters + sparseLayers * touched(batch) * expertParameters;
        return layers * narrow + headParameters * wide + (double) batch * context * cacheElements * cacheBytes;
    }

    /** Operations of prompts of {@code tokens} tokens each, whose last token alone goes through the output projection. */
    double prefillOperations(int batch, int tokens) {
        MoeConfig moe = config.moe();
        double active = attentionParameters
                + mlpParameters
                + (moe == null ? 0 : (double) sparseLayers * moe.topK() * expertParameters);
        double scores = (double) config.heads() * (config.headDim() + config.valueHeadDim()) * config.layers();
        return 2 * active * batch * tokens + 2 * headParameters * batch + scores * tokens * tokens * batch;
    }
}
