package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.DecodeTransfer;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvReceiver;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The decode side of a group whose ranks live on several nodes, on node 0: a room is one on each of them, and each node's
 * ranks receive their own pages.
 */
final class NodeDecode implements DecodeTransfer {
    private final @Nullable DecodeTransfer local;
    private final GroupNodes others;
    private final Map<Long, Receiver> rooms = new ConcurrentHashMap<>();

    /** @param local of the group's ranks on node 0; null when there are none */
    NodeDecode(@Nullable DecodeTransfer local, GroupNodes others) {
        this.local = local;
        this.others = others;
    }

    @Override
    public KvReceiver open(Bootstrap bootstrap) {
        Receiver receiver = new Receiver(bootstrap.room(), local == null ? null : local.open(bootstrap));
        rooms.put(bootstrap.room(), receiver);
        others.open(bootstrap.room(), new RoleMessage.OpenDecode(bootstrap));
        return receiver;
    }

    /** One node is enough to say it: every prefill rank belongs to one server. */
    @Override
    public void refuse(Bootstrap bootstrap, String reason) {
        if (local != null) {
            local.refuse(bootstrap, reason);
            return;
        }
        others.open(bootstrap.room(), new RoleMessage.OpenDecode(bootstrap));
        others.tell(new RoleMessage.Abort(bootstrap.room(), reason));
        others.close(bootstrap.room());
    }

    @Override
    public int liveRooms() {
        return rooms.size();
    }

    @Override
    public void close() {
        if (local != null) {
            local.close();
        }
    }

    /** One room; on the scheduler's thread. */
    private final class Receiver implements KvReceiver {
        private final long room;
        private final @Nullable KvReceiver here;
        private boolean failed;

        Receiver(long room, @Nullable KvReceiver here) {
            this.room = room;
            this.here = here;
        }

        @Override
        public long room() {
            return room;
        }

        /** A room that fails on one node fails on all. */
        @Override
        public KvPoll poll() {
            KvPoll now = others.state(room).min(here == null ? KvPoll.SUCCESS : here.poll());
            if (now == KvPoll.FAILED) {
                abort(String.valueOf(failure()));
            }
            return now;
        }

        @Override
        public @Nullable String failure() {
            String first = here == null ? null : here.failure();
            return first == null ? others.failure(room) : first;
        }

        @Override
        public void reserve(int[] pages) {
            if (here != null) {
                here.reserve(pages);
            }
            others.tell(new RoleMessage.Reserve(room, pages));
        }

        @Override
        public AuxRecord aux() {
            AuxRecord record = here == null ? others.aux(room) : here.aux();
            if (record == null) {
                throw new IllegalStateException("room " + room + " has no record in state " + poll());
            }
            return record;
        }

        @Override
        public void abort(String reason) {
            if (failed) {
                return;
            }
            failed = true;
            if (here != null) {
                here.abort(reason);
            }
            others.tell(new RoleMessage.Abort(room, reason));
        }

        @Override
        public boolean released() {
            return (here == null || here.released()) && others.released(room);
        }

        @Override
        public void close() {
            if (here != null) {
                here.close();
            }
            rooms.remove(room, this);
            others.close(room);
        }
    }
}
