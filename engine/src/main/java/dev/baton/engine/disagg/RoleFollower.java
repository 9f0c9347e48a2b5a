package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.RoleMessage.Abort;
import dev.baton.engine.disagg.RoleMessage.Begin;
import dev.baton.engine.disagg.RoleMessage.Close;
import dev.baton.engine.disagg.RoleMessage.Discard;
import dev.baton.engine.disagg.RoleMessage.Due;
import dev.baton.engine.disagg.RoleMessage.DuePages;
import dev.baton.engine.disagg.RoleMessage.Finish;
import dev.baton.engine.disagg.RoleMessage.OpenDecode;
import dev.baton.engine.disagg.RoleMessage.OpenPrefill;
import dev.baton.engine.disagg.RoleMessage.RefusePrefill;
import dev.baton.engine.disagg.RoleMessage.Registered;
import dev.baton.engine.disagg.RoleMessage.Reserve;
import dev.baton.engine.disagg.RoleMessage.Restart;
import dev.baton.engine.disagg.RoleMessage.Restore;
import dev.baton.engine.disagg.RoleMessage.RoomState;
import dev.baton.engine.disagg.RoleMessage.Save;
import dev.baton.engine.disagg.transfer.AuxRecord;
import dev.baton.engine.disagg.transfer.DecodeTransfer;
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.KvReceiver;
import dev.baton.engine.disagg.transfer.KvSender;
import dev.baton.engine.disagg.transfer.PrefillTransfer;
import dev.baton.engine.node.NodeRole;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.node.WireBuffer;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.TensorException;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Half of a pair on a node that is not node 0: does for the ranks that live here what node 0's scheduler decides. What
 * must not overtake a step is queued behind the steps that were announced before it.
 */
final class RoleFollower implements NodeRole, AutoCloseable {
    private static final System.Logger LOG = System.getLogger(RoleFollower.class.getName());

    private final Disaggregation owner;
    private final NodeShare share;
    private final List<Half> halves = new ArrayList<>();
    private final RoomWatch watch;

    /** A group. */
    private static final class Half {
        final RankGroup group;
        final RankOffload offload;
        final Map<Long, HostOffload.Saved> copies = new HashMap<>();
        final Map<Long, KvSender> senders = new HashMap<>();
        final Map<Long, KvReceiver> receivers = new HashMap<>();

        @Nullable
        PrefillTransfer prefill;

        @Nullable
        LayerSends sends;

        @Nullable
        DecodeTransfer decode;

        Half(RankGroup group) {
            this.group = group;
            this.offload = new RankOffload(group);
        }

        /** Runs an action when the ranks here have ended every step that was announced. */
        void afterSteps(Runnable action) {
            group.runBetweenSteps(rank -> {}).thenRun(action);
        }
    }

    RoleFollower(Disaggregation owner, List<RankGroup> groups, NodeShare share) {
        this.owner = owner;
        this.share = share;
        groups.forEach(group -> halves.add(new Half(group)));
        this.watch = new RoomWatch(this::tell);
    }

    private void tell(int dp, RoleMessage message) {
        try {
            share.tellRole(new int[] {0}, body -> {
                body.putInt(dp);
                RoleCodec.write(body, message);
            });
        } catch (TensorException e) {
            // The mesh is over, and node 0 knows.
            LOG.log(Level.DEBUG, "node 0 was not told: {0}", e.getMessage());
        }
    }

    @Override
    public void beforeStep() {
        halves.forEach(half -> half.offload.seal());
    }

    @Override
    public void told(WireBuffer body) {
        int dp = body.intValue();
        Half half = halves.get(dp);
        switch (RoleCodec.read(body)) {
            case Begin m -> begin(half, dp, m);
            case OpenPrefill m -> open(half, dp, m);
            case Due m -> expect(half, m);
            case Restart m -> restart(half, m);
            case Finish m -> {
                KvSender sender = half.senders.get(m.room());
                if (sender != null) {
                    half.afterSteps(() -> sender.finish(m.aux()));
                }
            }
            case RefusePrefill m -> {
                if (half.prefill != null) {
                    half.prefill.refuse(m.room(), m.reason());
                }
            }
            case OpenDecode m -> open(half, dp, m);
            case Reserve m -> {
                // A step under way may still write a slot that has a new owner now.
                KvReceiver receiver = half.receivers.get(m.room());
                if (receiver != null) {
                    half.afterSteps(() -> receiver.reserve(m.pages()));
                }
            }
            case Abort m -> abort(half, m);
            case Close m -> close(half, dp, m.room());
            case Restore m -> {
                HostOffload.Saved saved = half.copies.remove(m.copy());
                if (saved != null) {
                    half.offload.restore(saved, m.slots());
                }
            }
            case Discard m -> {
                HostOffload.Saved saved = half.copies.remove(m.copy());
                if (saved != null) {
                    saved.discard();
                }
            }
            case Save m -> throw new IllegalStateException("a copy is asked for: node 0 waits until it stands");
            case Registered m -> throw new IllegalStateException("only node 0 is told of ranks");
            case RoomState m -> throw new IllegalStateException("only node 0 is told how rooms stand");
        }
    }

    @Override
    public CompletableFuture<Void> asked(WireBuffer body) {
        Half half = halves.get(body.intValue());
        if (!(RoleCodec.read(body) instanceof Save save)) {
            return CompletableFuture.failedFuture(new IllegalStateException("only a copy is asked for"));
        }
        HostOffload.Saved saved = half.offload.save(save.slots());
        half.copies.put(save.copy(), saved);
        return saved.done();
    }

    private void begin(Half half, int dp, Begin begin) {
        RankGroup group = half.group;
        if (owner.isPrefill()) {
            LayerSends sends = new LayerSends(group.ranksHere());
            half.sends = sends;
            Disaggregation.Prefill made = owner.prefill(group, dp, halves.size(), sends);
            half.prefill = made.transfer();
            tell(dp, new Registered(made.registrations()));
        } else {
            half.decode = owner.decode(group, begin.instance());
        }
    }

    private void open(Half half, int dp, OpenPrefill open) {
        long room = open.room();
        if (half.prefill == null) {
            return;
        }
        try {
            KvSender sender = half.prefill.open(room);
            half.senders.put(room, sender);
            watch.add(dp, room, () -> new RoomState(room, sender.poll(), sender.failure(), null, sender.released()));
        } catch (EngineException e) {
            tell(dp, refused(room, e));
        }
    }

    private void open(Half half, int dp, OpenDecode open) {
        long room = open.bootstrap().room();
        if (half.decode == null) {
            return;
        }
        try {
            KvReceiver receiver = half.decode.open(open.bootstrap());
            half.receivers.put(room, receiver);
            watch.add(dp, room, () -> state(room, receiver));
        } catch (EngineException e) {
            tell(dp, refused(room, e));
        }
    }

    private static RoomState refused(long room, EngineException e) {
        return new RoomState(room, KvPoll.FAILED, String.valueOf(e.getMessage()), null, true);
    }

    private static RoomState state(long room, KvReceiver receiver) {
        KvPoll now = receiver.poll();
        AuxRecord aux = now == KvPoll.SUCCESS ? receiver.aux() : null;
        return new RoomState(room, now, receiver.failure(), aux, receiver.released());
    }

    private static void expect(Half half, Due due) {
        LayerSends sends = half.sends;
        if (sends == null) {
            return;
        }
        List<LayerSends.Due> all = new ArrayList<>();
        for (DuePages each : due.sequences()) {
            KvSender sender = each.room() == null ? null : half.senders.get(each.room());
            LayerSends.Send send = sender == null ? null : new LayerSends.Send(sender, each.firstPage(), each.pages());
            all.add(new LayerSends.Due(each.chunk(), send));
        }
        sends.expect(all);
    }

    /** Pages of a former pass must not be counted to the new one: the steps that send them end first. Seldom. */
    private static void restart(Half half, Restart restart) {
        KvSender sender = half.senders.get(restart.room());
        if (sender != null) {
            half.group.runBetweenSteps(rank -> {}).join();
            sender.restart();
        }
    }

    private static void abort(Half half, Abort abort) {
        KvSender sender = half.senders.get(abort.room());
        if (sender != null) {
            sender.abort(abort.reason());
        }
        KvReceiver receiver = half.receivers.get(abort.room());
        if (receiver != null) {
            receiver.abort(abort.reason());
        }
    }

    private void close(Half half, int dp, long room) {
        watch.remove(dp, room);
        KvSender sender = half.senders.remove(room);
        if (sender != null) {
            sender.close();
        }
        KvReceiver receiver = half.receivers.remove(room);
        if (receiver != null) {
            receiver.close();
        }
    }

    @Override
    public void close() {
        watch.close();
    }
}
