package dev.baton.engine.disagg;

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
import dev.baton.engine.disagg.transfer.KvPoll;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.node.WireBuffer;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.io.UncheckedIOException;

/** How a {@link RoleMessage} travels: a byte that says which, then its fields. */
final class RoleCodec {
    private static final KvPoll[] STATES = KvPoll.values();

    private RoleCodec() {}

    static void write(WireBuffer out, RoleMessage message) {
        switch (message) {
            case Begin m -> {
                out.putByte(1);
                out.putText(m.instance());
            }
            case OpenPrefill m -> room(out, 2, m.room());
            case Due m -> {
                out.putByte(3);
                out.putList(m.sequences(), due -> write(out, due));
            }
            case Restart m -> room(out, 4, m.room());
            case Finish m -> {
                room(out, 5, m.room());
                out.putBytes(m.aux().encode());
            }
            case RefusePrefill m -> {
                room(out, 6, m.room());
                out.putText(m.reason());
            }
            case OpenDecode m -> {
                room(out, 7, m.bootstrap().room());
                out.putText(m.bootstrap().host());
                out.putInt(m.bootstrap().port());
            }
            case Reserve m -> {
                room(out, 8, m.room());
                out.putInts(m.pages());
            }
            case Abort m -> {
                room(out, 9, m.room());
                out.putText(m.reason());
            }
            case Close m -> room(out, 10, m.room());
            case Save m -> {
                room(out, 11, m.copy());
                out.putInts(m.slots());
            }
            case Restore m -> {
                room(out, 12, m.copy());
                out.putInts(m.slots());
            }
            case Discard m -> room(out, 13, m.copy());
            case Registered m -> {
                out.putByte(14);
                out.putList(m.ranks(), rank -> write(out, rank));
            }
            case RoomState m -> {
                room(out, 15, m.room());
                out.putByte(m.state().ordinal());
                out.putNullable(m.failure(), out::putText);
                out.putNullable(m.aux(), aux -> out.putBytes(aux.encode()));
                out.putBoolean(m.released());
            }
        }
    }

    private static void room(WireBuffer out, int kind, long room) {
        out.putByte(kind);
        out.putLong(room);
    }

    private static void write(WireBuffer out, DuePages due) {
        out.putInt(due.chunk().row());
        out.putInt(due.chunk().end());
        out.putNullable(due.room(), out::putLong);
        out.putInt(due.firstPage());
        out.putInts(due.pages());
    }

    private static void write(WireBuffer out, BootstrapClient.Registration rank) {
        out.putInt(rank.tensorParallel());
        out.putInt(rank.rank());
        out.putInt(rank.dataParallel());
        out.putInt(rank.dpRank());
        out.putInt(rank.pipelineParallel());
        out.putInt(rank.stage());
        out.putInt(rank.layers().first());
        out.putInt(rank.layers().end());
        out.putText(rank.host());
        out.putInt(rank.port());
        out.putInt(rank.pageTokens());
        out.putText(rank.cacheType());
        out.putText(rank.model());
    }

    static RoleMessage read(WireBuffer in) {
        int kind = in.byteValue();
        return switch (kind) {
            case 1 -> new Begin(in.text());
            case 2 -> new OpenPrefill(in.longValue());
            case 3 -> new Due(in.list(() -> due(in)));
            case 4 -> new Restart(in.longValue());
            case 5 -> new Finish(in.longValue(), aux(in));
            case 6 -> new RefusePrefill(in.longValue(), in.text());
            case 7 -> {
                long room = in.longValue();
                yield new OpenDecode(new Bootstrap(in.text(), in.intValue(), room));
            }
            case 8 -> new Reserve(in.longValue(), in.ints());
            case 9 -> new Abort(in.longValue(), in.text());
            case 10 -> new Close(in.longValue());
            case 11 -> new Save(in.longValue(), in.ints());
            case 12 -> new Restore(in.longValue(), in.ints());
            case 13 -> new Discard(in.longValue());
            case 14 -> new Registered(in.list(() -> registration(in)));
            case 15 ->
                new RoomState(
                        in.longValue(),
                        STATES[in.byteValue()],
                        in.nullable(in::text),
                        in.nullable(() -> aux(in)),
                        in.booleanValue());
            default -> throw new IllegalStateException("a message of unknown kind " + kind);
        };
    }

    private static DuePages due(WireBuffer in) {
        LayerSends.Chunk chunk = new LayerSends.Chunk(in.intValue(), in.intValue());
        return new DuePages(chunk, in.nullable(in::longValue), in.intValue(), in.ints());
    }

    private static AuxRecord aux(WireBuffer in) {
        try {
            return AuxRecord.decode(in.bytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static BootstrapClient.Registration registration(WireBuffer in) {
        return new BootstrapClient.Registration(
                in.intValue(),
                in.intValue(),
                in.intValue(),
                in.intValue(),
                in.intValue(),
                in.intValue(),
                new LayerRange(in.intValue(), in.intValue()),
                in.text(),
                in.intValue(),
                in.intValue(),
                in.text(),
                in.text());
    }
}
