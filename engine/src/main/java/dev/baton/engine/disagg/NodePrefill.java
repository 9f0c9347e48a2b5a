package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillTransfer;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The prefill side of a group whose ranks live on several nodes, on node 0: a room is one on each of them, and each node's
 * ranks send their own pages.
 */
final class NodePrefill implements PrefillTransfer {
    private final @Nullable PrefillTransfer local;
    private final GroupNodes others;
    private final Map<Long, Sender> rooms = new ConcurrentHashMap<>();

    /** @param local of the group's ranks on node 0; null when there are none */
    NodePrefill(@Nullable PrefillTransfer local, GroupNodes others) {
        this.local = local;
        this.others = others;
    }

    /** What the other nodes are told before a step. */
    void tell(List<LayerSends.Due> due) {
        others.tell(new RoleMessage.Due(due.stream().map(NodePrefill::message).toList()));
    }

    private static RoleMessage.DuePages message(LayerSends.Due due) {
        LayerSends.Send send = due.send();
        return send != null && send.sender() instanceof Sender sender
                ? new RoleMessage.DuePages(due.chunk(), sender.room(), send.firstPage(), send.pages())
                : new RoleMessage.DuePages(due.chunk(), null, 0, new int[0]);
    }

    @Override
    public InetSocketAddress address() {
        return local == null ? InetSocketAddress.createUnresolved(FakeTransfer.HOST, 0) : local.address();
    }

    @Override
    public KvSender open(long room) {
        Sender sender = new Sender(room, local == null ? FakeTransfer.sender(room) : local.open(room));
        rooms.put(room, sender);
        others.open(room, new RoleMessage.OpenPrefill(room));
        return sender;
    }

    @Override
    public void refuse(long room, String reason) {
        if (local != null) {
            local.refuse(room, reason);
        }
        others.tell(new RoleMessage.RefusePrefill(room, reason));
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

    /** One room; on the scheduler's thread, but for {@link #send}. */
    private final class Sender implements KvSender {
        private final long room;
        private final KvSender here;
        /** The other nodes need not be told of its end any more. */
        private boolean ended;

        Sender(long room, KvSender here) {
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
            KvPoll local = here.poll();
            KvPoll now = local.min(others.state(room));
            if (now == KvPoll.FAILED) {
                abort(String.valueOf(failure()));
            } else if (now == KvPoll.SUCCESS) {
                ended = true;
            }
            return now;
        }

        @Override
        public @Nullable String failure() {
            String first = here.failure();
            return first == null ? others.failure(room) : first;
        }

        @Override
        public void send(int rank, int fromLayer, int toLayer, int firstPage, int[] pages, long mark) {
            here.send(rank, fromLayer, toLayer, firstPage, pages, mark);
        }

        @Override
        public void restart() {
            here.restart();
            others.tell(new RoleMessage.Restart(room));
        }

        @Override
        public void finish(AuxRecord aux) {
            here.finish(aux);
            others.tell(new RoleMessage.Finish(room, aux));
        }

        @Override
        public void abort(String reason) {
            if (!ended) {
                ended = true;
                here.abort(reason);
                others.tell(new RoleMessage.Abort(room, reason));
            }
        }

        @Override
        public boolean released() {
            return here.released() && others.released(room);
        }

        @Override
        public long sentBytes() {
            return here.sentBytes();
        }

        @Override
        public void close() {
            here.close();
            rooms.remove(room, this);
            others.close(room);
        }
    }
}
