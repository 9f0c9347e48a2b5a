package dev.baton.trace.read;

/**
 * What a trace tells of one collective beside its times.
 *
 * @param collective {@code allreduce}, {@code _allgather_base} and so on; empty when not said
 * @param groupName process group; empty when not said
 * @param groupRanks its ranks as the trace writes them, e.g. {@code [0, 1]}; empty when not said
 * @param groupSize ranks of the group, 0 when not said
 * @param inElements elements this rank puts in, -1 when not said
 * @param outElements elements it gets, -1 when not said
 * @param elementType e.g. {@code BFloat16}; empty when not said
 */
public record CollectiveCall(
        String collective,
        String groupName,
        String groupRanks,
        int groupSize,
        long inElements,
        long outElements,
        String elementType) {}
