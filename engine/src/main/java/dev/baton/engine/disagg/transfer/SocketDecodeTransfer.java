package dev.baton.engine.disagg.transfer;

import dev.baton.engine.EngineException;
import dev.baton.engine.disagg.transfer.CachePairing.Part;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;

/** Connects to prefill ranks and takes pages through shared memory or over the sockets. */
public final class SocketDecodeTransfer implements DecodeTransfer {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");

    private final TransferOptions options;
    private final KvRegions regions;
    private final PrefillLocator locator;
    private final String instance;
    private final Map<Long, DecodeRoom> rooms = new ConcurrentHashMap<>();
    /** Guarded by itself. */
    private final Map<DecodeConnection.Key, Link> links = new HashMap<>();

    /** Every connection whose thread still runs. */
    private final Set<DecodeConnection> connections = ConcurrentHashMap.newKeySet();

    private final AtomicInteger echoSlots = new AtomicInteger();
    private final Thread janitor;
    private volatile boolean closed;

    private record Link(DecodeConnection connection, CompletableFuture<DecodeConnection> ready) {}

    /**
     * @param regions the KV memory of rank 0, 1, ... of this data-parallel group
     * @param locator closed with this
     */
    public SocketDecodeTransfer(TransferOptions options, List<KvRegion> regions, PrefillLocator locator) {
        this(options, KvRegions.all(regions), locator, UUID.randomUUID().toString());
    }

    /**
     * @param regions of this data-parallel group
     * @param locator closed with this
     * @param instance tells this server from every other one; the same in all JVMs that have ranks of the group
     */
    public SocketDecodeTransfer(TransferOptions options, KvRegions regions, PrefillLocator locator, String instance) {
        this.options = options;
        this.regions = regions;
        this.locator = locator;
        this.instance = instance;
        for (KvRegion region : regions.here().values()) {
            SocketPrefillTransfer.requireSendable(region.layout());
            if (options.backend() == TransferBackend.SHM && !region.isShared()) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "--disaggregation-transfer-backend shm needs the KV pool in shared memory, which this device or"
                                + " system does not give: use tcp or auto");
            }
        }
        janitor = Thread.ofVirtual().name("kv-decode-janitor").start(this::tidy);
    }

    TransferOptions options() {
        return options;
    }

    KvRegions regions() {
        return regions;
    }

    String instance() {
        return instance;
    }

    boolean isClosed() {
        return closed;
    }

    int nextEchoSlot() {
        return echoSlots.getAndIncrement() & 0x7fffffff;
    }

    static String name(Bootstrap bootstrap) {
        return bootstrap.host() + ":" + bootstrap.port();
    }

    @Override
    public int liveRooms() {
        return (int) rooms.values().stream().filter(room -> !room.isClosed()).count();
    }

    /** Connections whose thread still runs. */
    public int connections() {
        return connections.size();
    }

    @Override
    public KvReceiver open(Bootstrap bootstrap) {
        if (closed) {
            throw new EngineException(EngineException.Code.UNAVAILABLE, options.server() + " is shutting down");
        }
        if (rooms.size() >= options.maxRooms()) {
            throw new EngineException(
                    EngineException.Code.QUEUE_FULL, "KV transfer holds " + options.maxRooms() + " rooms already");
        }
        DecodeRoom room = new DecodeRoom(this, bootstrap);
        if (rooms.putIfAbsent(bootstrap.room(), room) != null) {
            throw new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "bootstrap_room " + bootstrap.room()
                            + " is already in use on this server; a retry needs a new room");
        }
        Thread.ofVirtual().name("kv-bootstrap").start(() -> connect(room));
        return room;
    }

    @Override
    public void refuse(Bootstrap bootstrap, String reason) {
        if (closed || rooms.containsKey(bootstrap.room())) {
            return;
        }
        Thread.ofVirtual().name("kv-refuse").start(() -> {
            DecodeRoom room = new DecodeRoom(this, bootstrap);
            room.abort(reason);
            connect(room);
            room.close();
        });
    }

    /** Finds and connects what the room needs; its failure is the room's. */
    private void connect(DecodeRoom room) {
        try {
            PrefillLocator.Group group = locator.locate(room.bootstrap());
            Map<InetSocketAddress, Integer> connections = new HashMap<>();
            List<CompletableFuture<DecodeConnection>> all = links(room.bootstrap(), group, connections);
            List<DecodeConnection> made = new ArrayList<>();
            for (CompletableFuture<DecodeConnection> ready : all) {
                made.add(ready.get());
            }
            room.connected(made, connections);
        } catch (IOException | IllegalArgumentException e) {
            room.fail(String.valueOf(e.getMessage()), null);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            room.fail(cause == null ? e.toString() : String.valueOf(cause.getMessage()), null);
        } catch (InterruptedException e) {
            room.fail("interrupted", null);
        }
    }

    /**
     * The connections of this JVM's ranks.
     *
     * @param connections filled with how many there are to each address, those of other JVMs of this group included
     */
    private List<CompletableFuture<DecodeConnection>> links(
            Bootstrap bootstrap, PrefillLocator.Group group, Map<InetSocketAddress, Integer> connections) {
        List<CacheShare> held =
                shares(group, regions.shares().getFirst().heads().total());
        List<InetSocketAddress> addresses = group.ranks();
        List<CompletableFuture<DecodeConnection>> all = new ArrayList<>();
        for (int rank = 0; rank < regions.shares().size(); rank++) {
            for (Part part : CachePairing.parts(regions.shares(), rank, held)) {
                connections.merge(addresses.get(part.prefillRank()), 1, Integer::sum);
                connect(bootstrap, addresses, rank, part, all);
            }
        }
        for (int prefillRank = 0; prefillRank < addresses.size(); prefillRank++) {
            if (connections.putIfAbsent(addresses.get(prefillRank), 1) == null) {
                // None of the ranks there sends anything, but their JVM waits for the room as well.
                Part nothing = new Part(prefillRank, held.get(prefillRank).layers(), 0, 0);
                connect(bootstrap, addresses, 0, nothing, all);
            }
        }
        return all;
    }

    private void connect(
            Bootstrap bootstrap,
            List<InetSocketAddress> addresses,
            int rank,
            Part part,
            List<CompletableFuture<DecodeConnection>> all) {
        if (regions.find(rank) != null) {
            Bootstrap server = new Bootstrap(bootstrap.host(), bootstrap.port(), 0);
            int prefillRank = part.prefillRank();
            all.add(link(new DecodeConnection.Key(server, addresses.get(prefillRank), prefillRank, rank), part));
        }
    }

    /** What each prefill rank holds. */
    private static List<CacheShare> shares(PrefillLocator.Group group, int heads) {
        List<CacheShare> shares = new ArrayList<>();
        for (PrefillLocator.Stage stage : group.stages()) {
            int ranks = stage.ranks().size();
            for (int rank = 0; rank < ranks; rank++) {
                boolean latent = heads == 1;
                shares.add(
                        new CacheShare(stage.layers(), latent ? HeadShare.whole(1) : HeadShare.of(heads, ranks, rank)));
            }
        }
        return shares;
    }

    private CompletableFuture<DecodeConnection> link(DecodeConnection.Key key, Part part) {
        synchronized (links) {
            Link link = links.get(key);
            if (link == null && closed) {
                return CompletableFuture.failedFuture(new IOException("shutting down"));
            }
            if (link == null) {
                DecodeConnection connection = new DecodeConnection(this, key, part);
                connections.add(connection);
                link = new Link(connection, connection.start());
                links.put(key, link);
            }
            return link.ready;
        }
    }

    /** The prefill server behind this bootstrap address does not answer: every room with it fails. */
    public void lostServer(String host, int port, String reason) {
        List<DecodeRoom> lost = rooms.values().stream()
                .filter(room -> room.bootstrap().host().equals(host)
                        && room.bootstrap().port() == port
                        && !room.poll().isFinal())
                .toList();
        LOG.log(
                Level.WARNING,
                "Losing connection with prefill instance (bootstrap_addr: {0}:{1}), {2} requests affected",
                host,
                String.valueOf(port),
                lost.size());
        for (DecodeConnection connection : connections) {
            Bootstrap bootstrap = connection.key().bootstrap();
            if (bootstrap.host().equals(host) && bootstrap.port() == port) {
                connection.fail(reason);
            }
        }
        for (DecodeRoom room : lost) {
            room.fail("lost prefill server " + name(room.bootstrap()) + ": " + reason, null);
        }
    }

    /** The next room connects again. */
    void failed(DecodeConnection connection) {
        synchronized (links) {
            links.values().removeIf(link -> link.connection == connection);
        }
        locator.forget(connection.key().bootstrap());
    }

    void removed(DecodeConnection connection) {
        connections.remove(connection);
    }

    void remove(DecodeRoom room) {
        rooms.remove(room.room(), room);
    }

    private void tidy() {
        while (!closed && SocketPrefillTransfer.pause(Duration.ofMillis(500))) {
            connections.forEach(DecodeConnection::checkStalled);
            rooms.values().forEach(DecodeRoom::forgetWhenReleased);
        }
    }

    /** Waits up to two seconds for peers that may be writing this side's memory. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        synchronized (links) {
            closed = true;
        }
        String reason = options.server() + " is shutting down";
        rooms.values().forEach(room -> room.abort(reason));
        connections.forEach(connection -> connection.fail("shutting down"));
        long deadline = System.nanoTime() + Duration.ofSeconds(2).toNanos();
        while (!connections.isEmpty() && System.nanoTime() < deadline) {
            SocketPrefillTransfer.pause(Duration.ofMillis(5));
        }
        locator.close();
        janitor.interrupt();
    }
}
