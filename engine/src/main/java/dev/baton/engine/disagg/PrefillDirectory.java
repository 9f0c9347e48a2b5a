package dev.baton.engine.disagg;

import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The prefill servers that a decode server has met: their sizes and ranks as the bootstrap servers tell them, and a
 * heartbeat to each bootstrap server. The replica that serves a room is {@code room mod dp_size}.
 */
public final class PrefillDirectory implements PrefillLocator {
    private static final System.Logger LOG = System.getLogger("dev.baton.engine.disagg");
    private static final Duration RETRY = Duration.ofMillis(200);
    private static final int UNREACHABLE_TRIES = 3;

    private final BootstrapClient client = new BootstrapClient();
    private final Duration lookupTimeout;
    private final Duration heartbeatInterval;
    private final int maxFailures;
    private final Map<Server, Known> known = new ConcurrentHashMap<>();
    private final Thread heart;
    private volatile @Nullable LostListener listener;
    private volatile boolean closed;

    private record Server(String host, int port) {}

    /** What a bootstrap server told; groups by replica. */
    private static final class Known {
        final BootstrapClient.Sizes sizes;
        final Map<Integer, Group> groups = new ConcurrentHashMap<>();
        int failures;

        Known(BootstrapClient.Sizes sizes) {
            this.sizes = sizes;
        }
    }

    /** Hears of bootstrap servers that do not answer any more. */
    @FunctionalInterface
    public interface LostListener {
        void lost(String host, int port, String reason);
    }

    /**
     * @param lookupTimeout longest wait for a prefill server that has not registered yet
     * @param heartbeatInterval between two looks at each bootstrap server
     * @param maxFailures failed looks in a row after which it counts as lost
     */
    public PrefillDirectory(Duration lookupTimeout, Duration heartbeatInterval, int maxFailures) {
        this.lookupTimeout = lookupTimeout;
        this.heartbeatInterval = heartbeatInterval;
        this.maxFailures = maxFailures;
        this.heart = Thread.ofVirtual().name("kv-heartbeat").start(this::beat);
    }

    /** Who hears of lost servers; once. */
    public void onLost(LostListener next) {
        this.listener = next;
    }

    @Override
    public Group locate(Bootstrap bootstrap) throws IOException, InterruptedException {
        Server server = new Server(bootstrap.host(), bootstrap.port());
        long deadline = System.nanoTime() + lookupTimeout.toNanos();
        for (int tries = 1; ; tries++) {
            try {
                return ask(server, bootstrap.room());
            } catch (BootstrapClient.NotRegisteredException e) {
                if (System.nanoTime() + RETRY.toNanos() - deadline > 0) {
                    throw e;
                }
            } catch (IOException e) {
                if (tries >= UNREACHABLE_TRIES || System.nanoTime() + RETRY.toNanos() - deadline > 0) {
                    throw new IOException(
                            "cannot reach the bootstrap server of prefill server "
                                    + BootstrapClient.address(server.host, server.port) + ": " + e,
                            e);
                }
            }
            Thread.sleep(RETRY);
        }
    }

    private Group ask(Server server, long room) throws IOException, InterruptedException {
        Known entry = known.get(server);
        if (entry == null) {
            BootstrapClient.Sizes sizes = client.sizes(server.host, server.port);
            entry = new Known(sizes);
            known.put(server, entry);
        }
        int dpRank = (int) Math.floorMod(room, (long) entry.sizes.dataParallel());
        Group group = entry.groups.get(dpRank);
        if (group == null) {
            List<Stage> stages = new ArrayList<>();
            for (int stage = 0; stage < entry.sizes.pipelineParallel(); stage++) {
                stages.add(stage(server, entry.sizes, dpRank, stage));
            }
            group = new Group(stages);
            entry.groups.put(dpRank, group);
        }
        return group;
    }

    private Stage stage(Server server, BootstrapClient.Sizes sizes, int dpRank, int stage)
            throws IOException, InterruptedException {
        LayerRange layers = sizes.pipelineParallel() == 1 ? LayerRange.ALL : null;
        List<InetSocketAddress> ranks = new ArrayList<>();
        for (int rank = 0; rank < sizes.tensorParallel(); rank++) {
            BootstrapClient.RankAddress address = client.rank(server.host, server.port, dpRank, stage, rank);
            ranks.add(new InetSocketAddress(address.host(), address.port()));
            layers = layers == null ? address.layers() : layers;
        }
        if (layers == null) {
            throw new IOException("the prefill server has " + sizes.pipelineParallel()
                    + " pipeline stages and does not tell which layers stage " + stage
                    + " holds: run the same version of Baton on both sides");
        }
        return new Stage(layers, ranks);
    }

    @Override
    public void forget(Bootstrap bootstrap) {
        known.remove(new Server(bootstrap.host(), bootstrap.port()));
    }

    private void beat() {
        try {
            while (!closed) {
                Thread.sleep(heartbeatInterval);
                for (var entry : known.entrySet()) {
                    look(entry.getKey(), entry.getValue());
                }
            }
        } catch (InterruptedException e) {
            // Closed.
        }
    }

    private void look(Server server, Known entry) throws InterruptedException {
        if (client.isHealthy(server.host, server.port)) {
            entry.failures = 0;
            return;
        }
        entry.failures++;
        if (entry.failures < maxFailures || !known.remove(server, entry)) {
            return;
        }
        String reason = "its bootstrap server failed " + entry.failures + " health checks in a row";
        LOG.log(Level.DEBUG, "{0}:{1}: {2}", server.host, server.port, reason);
        LostListener hears = listener;
        if (hears != null) {
            hears.lost(server.host, server.port, reason);
        }
    }

    @Override
    public void close() {
        closed = true;
        heart.interrupt();
        client.close();
    }
}
