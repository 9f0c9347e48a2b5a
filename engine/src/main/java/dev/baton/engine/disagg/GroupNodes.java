package dev.baton.engine.disagg;

import dev.baton.engine.disagg.RoleMessage.RoomState;
import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.parallel.RankGroup;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** On node 0: the other nodes that have ranks of a group, and how the group's rooms stand there. */
final class GroupNodes {
    private final NodeShare share;
    private final int dp;
    private final int[] nodes;
    /** By room, by node: what it said last. */
    private final Map<Long, Map<Integer, RoomState>> rooms = new ConcurrentHashMap<>();

    GroupNodes(NodeShare share, RankGroup group, int dp) {
        this.share = share;
        this.dp = dp;
        this.nodes = share.othersOf(
                IntStream.range(0, group.size()).map(group::replicaRank).toArray());
    }

    int count() {
        return nodes.length;
    }

    void tell(RoleMessage message) {
        share.tellRole(nodes, body -> {
            body.putInt(dp);
            RoleCodec.write(body, message);
        });
    }

    CompletableFuture<Void> ask(RoleMessage message) {
        return share.askRole(nodes, body -> {
            body.putInt(dp);
            RoleCodec.write(body, message);
        });
    }

    /** Begins a room: {@code message} opens it on the other nodes. */
    void open(long room, RoleMessage message) {
        rooms.put(room, new ConcurrentHashMap<>());
        tell(message);
    }

    void close(long room) {
        if (rooms.remove(room) != null) {
            tell(new RoleMessage.Close(room));
        }
    }

    void said(int node, RoomState state) {
        Map<Integer, RoomState> known = rooms.get(state.room());
        if (known != null) {
            known.put(node, state);
        }
    }

    private @Nullable RoomState state(long room, int node) {
        Map<Integer, RoomState> known = rooms.get(room);
        return known == null ? null : known.get(node);
    }

    /** The least state of a room on the other nodes. */
    KvPoll state(long room) {
        KvPoll least = KvPoll.SUCCESS;
        for (int node : nodes) {
            RoomState said = state(room, node);
            least = least.min(said == null ? KvPoll.BOOTSTRAPPING : said.state());
        }
        return least;
    }

    /** Why a room failed on one of them; null when it did on none. */
    @Nullable
    String failure(long room) {
        for (int node : nodes) {
            RoomState said = state(room, node);
            if (said != null && said.failure() != null) {
                return said.failure();
            }
        }
        return null;
    }

    /** The record behind a room's pages; null when no other node has it. */
    @Nullable
    AuxRecord aux(long room) {
        for (int node : nodes) {
            RoomState said = state(room, node);
            if (said != null && said.aux() != null) {
                return said.aux();
            }
        }
        return null;
    }

    /** Whether nobody touches the room's pages on any of them. */
    boolean released(long room) {
        return IntStream.of(nodes).allMatch(node -> {
            RoomState said = state(room, node);
            return said != null && said.released();
        });
    }
}
