package dev.baton.engine.disagg.transfer;

import dev.baton.engine.EngineException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Listens for decode ranks and sends them pages through shared memory or over their sockets. */
public final class SocketPrefillTransfer implements PrefillTransfer {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");
    private static final int REMEMBERED = 4096;

    private final TransferOptions options;
    private final KvRegions regions;
    private final ServerSocketChannel listener;
    private final InetSocketAddress address;
    private final Map<Long, PrefillRoom> rooms = new ConcurrentHashMap<>();
    private final Set<PrefillConnection> connections = ConcurrentHashMap.newKeySet();
    private final SendTimes times = new SendTimes();
    private final Thread janitor;
    private volatile boolean closed;

    /**
     * Why rooms ended that the other side may still ask for.
     *
     * @param byPeer the decode server ended it, so a request that arrives later fails at once
     */
    private record Ended(String reason, boolean byPeer) {}

    /** Guarded by itself; the oldest go first. */
    private final Map<Long, Ended> ended = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Ended> eldest) {
            return size() > REMEMBERED;
        }
    };

    /**
     * As {@link #SocketPrefillTransfer(TransferOptions, KvRegions)}.
     *
     * @param regions the KV memory of rank 0, 1, ... of this data-parallel group
     */
    public SocketPrefillTransfer(TransferOptions options, List<KvRegion> regions) {
        this(options, KvRegions.all(regions));
    }

    /**
     * Starts listening on an ephemeral port.
     *
     * @param regions of this data-parallel group
     * @throws EngineException CONFIGURATION when the address cannot be listened on
     */
    public SocketPrefillTransfer(TransferOptions options, KvRegions regions) {
        this.options = options;
        this.regions = regions;
        for (KvRegion region : regions.here().values()) {
            requireSendable(region.layout());
        }
        try {
            this.listener = ServerSocketChannel.open();
            listener.bind(new InetSocketAddress(options.listenHost(), 0), 1024);
            this.address = (InetSocketAddress) listener.getLocalAddress();
        } catch (IOException | java.nio.channels.UnresolvedAddressException e) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "cannot listen for KV transfer on " + options.listenHost() + ": " + e + "; set --host to an address"
                            + " of this machine",
                    e);
        }
        Thread.ofVirtual().name("kv-prefill-accept").start(this::accept);
        janitor = Thread.ofVirtual().name("kv-prefill-janitor").start(this::tidy);
    }

    static void requireSendable(KvLayout layout) {
        for (int i = 0; i < layout.buffers().size(); i++) {
            if (layout.pageBytes(i) > FrameChannel.MAX_PAYLOAD_BYTES) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "one page of one layer has " + layout.pageBytes(i) + " bytes, KV transfer takes up to "
                                + FrameChannel.MAX_PAYLOAD_BYTES + ": lower --page-size");
            }
        }
    }

    TransferOptions options() {
        return options;
    }

    KvRegions regions() {
        return regions;
    }

    /** Where the sending threads spend their time. */
    public SendTimes times() {
        return times;
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public InetSocketAddress address() {
        return address;
    }

    @Override
    public int liveRooms() {
        return (int) rooms.values().stream().filter(PrefillRoom::isClaimed).count();
    }

    /** Connections of decode ranks. */
    public int connections() {
        return connections.size();
    }

    @Override
    public KvSender open(long id) {
        if (closed) {
            throw new EngineException(EngineException.Code.UNAVAILABLE, options.server() + " is shutting down");
        }
        Ended before = take(id);
        PrefillRoom room = room(id);
        if (room == null) {
            throw new EngineException(
                    EngineException.Code.QUEUE_FULL, "KV transfer holds " + options.maxRooms() + " rooms already");
        }
        if (!room.claim()) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "bootstrap_room " + id + " is already in use on this server; a retry needs a new room");
        }
        if (before != null && before.byPeer) {
            room.abort(before.reason);
        }
        return room;
    }

    private @Nullable PrefillRoom room(long id) {
        if (rooms.size() >= options.maxRooms() && !rooms.containsKey(id)) {
            return null;
        }
        return rooms.computeIfAbsent(id, key -> new PrefillRoom(this, key));
    }

    /** A decode rank told its pages; answers null or why not. */
    @Nullable
    String opened(long id, PrefillConnection connection, int pairs, int[] pages) {
        Ended before;
        synchronized (ended) {
            before = ended.get(id);
        }
        if (before != null) {
            return before.reason;
        }
        PrefillRoom room = room(id);
        if (room == null) {
            return options.server() + " holds " + options.maxRooms() + " rooms already";
        }
        connection.register(room);
        String refusal = room.opened(connection, pairs, pages);
        if (refusal != null && !room.has(connection)) {
            connection.forget(room);
        }
        return refusal;
    }

    /** The decode server ended a room. */
    void aborted(long id, PrefillConnection connection, String reason) {
        String text = "aborted by decode server " + connection.peer() + ": " + reason;
        PrefillRoom room = rooms.get(id);
        if (room == null) {
            remember(id, text, true);
        } else if (room.isOpenTo(connection)) {
            room.fail(text, connection);
        }
    }

    @Override
    public void refuse(long id, String reason) {
        PrefillRoom room = rooms.get(id);
        if (room == null) {
            remember(id, reason, false);
        } else if (!room.isClaimed()) {
            room.fail(reason, null);
        }
    }

    void remember(long id, String reason, boolean byPeer) {
        synchronized (ended) {
            ended.put(id, new Ended(reason, byPeer));
        }
    }

    private @Nullable Ended take(long id) {
        synchronized (ended) {
            return ended.remove(id);
        }
    }

    void remove(PrefillRoom room) {
        rooms.remove(room.room(), room);
    }

    void removed(PrefillConnection connection) {
        connections.remove(connection);
    }

    private void accept() {
        while (!closed) {
            try {
                SocketChannel channel = listener.accept();
                PrefillConnection connection = new PrefillConnection(this, new FrameChannel(channel));
                connections.add(connection);
                connection.start();
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                LOG.log(Level.WARNING, "Accepting a KV transfer connection failed: {0}", e.toString());
                pause(Duration.ofMillis(100));
            }
        }
    }

    private void tidy() {
        while (!closed && pause(Duration.ofMillis(500))) {
            connections.forEach(PrefillConnection::checkStalled);
            rooms.values().forEach(PrefillRoom::expire);
        }
    }

    static boolean pause(Duration time) {
        try {
            Thread.sleep(time);
            return true;
        } catch (InterruptedException e) {
            return false;
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        String reason = options.server() + " is shutting down";
        rooms.values().forEach(room -> room.abort(reason));
        try {
            listener.close();
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "closing the KV transfer listener: {0}", e);
        }
        connections.forEach(connection -> connection.end(Duration.ofSeconds(2)));
        janitor.interrupt();
    }
}
