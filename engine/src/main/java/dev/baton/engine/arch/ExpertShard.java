package dev.baton.engine.arch;

/**
 * One rank's part of the routed experts.
 *
 * @param experts which experts: equal parts of their physical slots
 * @param columns which intermediate columns of each of them
 * @param dispatched tokens travel to the ranks of their experts; otherwise every rank sees every token and the ranks'
 *     results are summed
 */
public record ExpertShard(Shard experts, Shard columns, boolean dispatched) {}
