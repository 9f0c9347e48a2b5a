package dev.baton.engine;

/**
 * @param dpRank which DP rank
 * @param runningRequests in decode or prefill
 * @param waitingRequests queued (bootstrap, pre-allocation and transfer queues included)
 * @param tokens KV tokens used and the lengths of all queued requests
 */
public record RankLoad(int dpRank, int runningRequests, int waitingRequests, long tokens) {}
