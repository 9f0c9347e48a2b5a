package dev.baton.engine.arch;

/**
 * One rank's part of the routed experts.
 *
 * @param experts which experts: equal parts of their physical slots
 * @param columns which intermediate columns of each of them
 * @param allToAll how tokens reach them
 */
public record ExpertShard(Shard experts, Shard columns, AllToAll allToAll) {
    /** Whether tokens travel to the ranks of their experts. */
    public boolean dispatched() {
        return allToAll != AllToAll.NONE;
    }
}
