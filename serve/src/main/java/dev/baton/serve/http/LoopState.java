package dev.baton.serve.http;

import dev.baton.protocol.reply.JsonBytes;
import io.netty.channel.EventLoop;
import io.netty.util.AsciiString;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** What the connections of one event loop share; touched on that loop only. */
final class LoopState {
    /** A frame larger than this does not keep its array. */
    private static final int SCRATCH_BYTES = 256 << 10;

    final EventLoop loop;
    final Set<Connection> connections = new LinkedHashSet<>();
    private final JsonBytes scratch = new JsonBytes(8 << 10);
    private final List<Connection> dirty = new ArrayList<>();

    /** Whole seconds since the server started, advanced by the sweep: cheap time for the idle limits. */
    int seconds;

    /** The value of the Date header, renewed by the sweep. */
    AsciiString date = now();

    LoopState(EventLoop loop) {
        this.loop = loop;
    }

    private static AsciiString now() {
        return new AsciiString(DateTimeFormatter.RFC_1123_DATE_TIME.format(ZonedDateTime.now(ZoneOffset.UTC)));
    }

    /** An empty buffer to build one frame in; valid until the next call. */
    JsonBytes scratch() {
        scratch.clear().shrinkTo(SCRATCH_BYTES);
        return scratch;
    }

    /** Flushes the connection when the batch being delivered ends. */
    void flushLater(Connection connection) {
        dirty.add(connection);
    }

    void flushAll() {
        // A flush may make a slow connection writable again, which adds to the list while it is walked.
        for (int i = 0; i < dirty.size(); i++) {
            dirty.get(i).flushNow();
        }
        dirty.clear();
    }

    /** Once a second: what was idle or stalled for too long is closed. */
    void sweep() {
        seconds++;
        date = now();
        for (Connection connection : connections.toArray(Connection[]::new)) {
            connection.checkTimes();
        }
    }
}
