package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the nodes of half a pair tell each other about the rooms of one group: node 0, where the scheduler is, what to do; the
 * others how it stands. {@link RoleCodec} says how it travels.
 */
sealed interface RoleMessage {
    /** First of all. @param instance names this server to prefill servers, the same on all nodes */
    record Begin(String instance) implements RoleMessage {}

    /** A room of a prefill group. */
    record OpenPrefill(long room) implements RoleMessage {}

    /** A step is about to be announced that computes these sequences. */
    record Due(List<DuePages> sequences) implements RoleMessage {}

    /**
     * A sequence of it.
     *
     * @param room whose pages; null when nothing is sent
     */
    record DuePages(LayerSends.Chunk chunk, @Nullable Long room, int firstPage, int[] pages) {}

    /** See {@link dev.baton.engine.disagg.transfer.KvSender#restart}. */
    record Restart(long room) implements RoleMessage {}

    /** Every page has been told: send the record behind them. */
    record Finish(long room, AuxRecord aux) implements RoleMessage {}

    /** The prefill server must not wait for such a room. */
    record RefusePrefill(long room, String reason) implements RoleMessage {}

    /** A room of a decode group. */
    record OpenDecode(Bootstrap bootstrap) implements RoleMessage {}

    /** Where its pages go. */
    record Reserve(long room, int[] pages) implements RoleMessage {}

    /** A room of either kind ends with an error. */
    record Abort(long room, String reason) implements RoleMessage {}

    /** A room of either kind is forgotten. */
    record Close(long room) implements RoleMessage {}

    /** Keep the KV of these slots on the host. */
    record Save(long copy, int[] slots) implements RoleMessage {}

    /** Put what was kept in other slots, and forget it. */
    record Restore(long copy, int[] slots) implements RoleMessage {}

    /** Forget what was kept. */
    record Discard(long copy) implements RoleMessage {}

    /** To node 0, the answer to {@link Begin}: a node's prefill ranks of a group. */
    record Registered(List<BootstrapClient.Registration> ranks) implements RoleMessage {}

    /**
     * To node 0: a room has changed.
     *
     * @param failure why it failed; null otherwise
     * @param aux the record behind the pages, on a decode node that has them all; null otherwise
     * @param released nobody touches the room's pages on this node any more
     */
    record RoomState(
            long room,
            KvPoll state,
            @Nullable String failure,
            @Nullable AuxRecord aux,
            boolean released) implements RoleMessage {}
}
