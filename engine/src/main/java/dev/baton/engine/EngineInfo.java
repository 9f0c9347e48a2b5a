package dev.baton.engine;

import org.jspecify.annotations.Nullable;

/**
 * @param modelPath the model's directory
 * @param architecture class name in {@code config.json}
 * @param modelType {@code model_type} there
 * @param vocabularySize logits a position
 * @param contextTokens longest prompt plus answer
 * @param maxTotalTokens KV pool of one DP rank
 * @param maxRequestInputTokens longest prompt taken
 * @param maxRunningRequests of one DP rank
 * @param pageTokens page size
 * @param tensorParallel ranks a replica
 * @param dataParallel replicas
 * @param role {@code prefill} or {@code decode}, null for an engine that does both
 * @param weightBytes memory of the weights of one rank
 * @param cacheBytes memory of the KV pool of one rank
 */
public record EngineInfo(
        String modelPath,
        String architecture,
        String modelType,
        int vocabularySize,
        int contextTokens,
        int maxTotalTokens,
        int maxRequestInputTokens,
        int maxRunningRequests,
        int pageTokens,
        int tensorParallel,
        int dataParallel,
        @Nullable String role,
        long weightBytes,
        long cacheBytes) {}
