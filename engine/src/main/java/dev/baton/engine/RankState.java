package dev.baton.engine;

/**
 * @param dpRank which DP rank
 * @param lastGenerationThroughput tokens/s of the last decode log interval
 * @param generatedTokens tokens that decode steps have made since the start
 * @param usedTokens KV tokens that live requests hold
 * @param freeTokens KV tokens in the free list
 * @param evictableTokens KV tokens that only the prefix cache holds
 * @param runningRequests decoding now
 * @param queuedRequests waiting for prefill
 * @param preallocRequests decode role: waiting for KV space; prefill role: waiting for the decode side
 * @param transferRequests KV on its way
 * @param retractedRequests retracted so far
 * @param cacheHitRate cached prompt tokens over prompt tokens of the last prefill batch
 * @param newTokenRatio admission estimate
 * @param forwardSteps steps run since the start
 */
public record RankState(
        int dpRank,
        double lastGenerationThroughput,
        long generatedTokens,
        int usedTokens,
        int freeTokens,
        int evictableTokens,
        int runningRequests,
        int queuedRequests,
        int preallocRequests,
        int transferRequests,
        int retractedRequests,
        double cacheHitRate,
        double newTokenRatio,
        long forwardSteps) {}
