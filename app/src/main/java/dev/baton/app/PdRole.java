package dev.baton.app;

import dev.baton.engine.LocalEngine;
import dev.baton.engine.disagg.Disaggregation;
import dev.baton.engine.disagg.DisaggregationConfig;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.node.NodeRole;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.serve.bootstrap.BootstrapServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.net.InetAddress;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a prefill or decode server has besides its engine: the transfers, and on a prefill server the bootstrap registry.
 * A server without a role has one of these that does nothing.
 */
final class PdRole implements EngineAssembly.RoleWiring, AutoCloseable {
    private static final Logger LOG = System.getLogger(PdRole.class.getName());

    private final DisaggregationConfig config;
    private final Disaggregation disaggregation;
    private final @Nullable BootstrapServer bootstrap;

    private final boolean warmsKernels;

    private PdRole(
            DisaggregationConfig config, String server, @Nullable BootstrapServer bootstrap, boolean warmsKernels) {
        this.config = config;
        this.warmsKernels = warmsKernels;
        this.disaggregation = new Disaggregation(config, server);
        this.bootstrap = bootstrap;
    }

    /**
     * Reads the role from the flags; a prefill server's registry (of several nodes node 0's) listens from here on.
     *
     * @throws dev.baton.serve.ServeException BIND when the registry's port is taken
     */
    static PdRole of(ServerArgs args) {
        Mode mode = Mode.parse(args.text("disaggregation-mode"));
        TransferBackend.Choice backend = TransferBackend.parse(args.text("disaggregation-transfer-backend"));
        if (mode != Mode.NONE && backend.alias()) {
            LOG.log(
                    Logger.Level.WARNING,
                    "--disaggregation-transfer-backend " + args.text("disaggregation-transfer-backend")
                            + " is not used here: auto stands in for it");
        }
        String host = args.text("host");
        BootstrapServer bootstrap = mode == Mode.PREFILL && !NodeFlags.isFollower(args)
                ? BootstrapServer.start(host, args.integer("disaggregation-bootstrap-port"))
                : null;
        String reachable = reachable(host);
        int port = bootstrap == null ? args.integer("disaggregation-bootstrap-port") : bootstrap.port();
        DisaggregationConfig config = DisaggregationConfig.of(mode)
                .withEnvironment(System.getenv(), args.integerOrNull("num-reserved-decode-tokens"))
                .withBackend(backend.backend())
                .withHosts(reachable, reachable, port);
        return new PdRole(config, reachable + ":" + args.integer("port"), bootstrap, !args.on("skip-server-warmup"));
    }

    /** The address under which others find a server that listens on {@code host}. */
    private static String reachable(String host) {
        try {
            boolean wildcard = host.isEmpty() || InetAddress.getByName(host).isAnyLocalAddress();
            return wildcard ? InetAddress.getLocalHost().getHostAddress() : host;
        } catch (IOException e) {
            throw new UncheckedIOException("--host " + host + " has no address", e);
        }
    }

    @Override
    public boolean warmsKernels() {
        return warmsKernels;
    }

    /** Where a prefill server's registry listens; 0 for the other roles. */
    int bootstrapPort() {
        return bootstrap == null ? 0 : bootstrap.port();
    }

    @Override
    public KvMemory kvMemory() {
        return disaggregation.kvMemory();
    }

    @Override
    public int reservedDecodeTokens() {
        return config.reservedDecodeTokens();
    }

    @Override
    public void wire(LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens, @Nullable NodeShare share) {
        disaggregation.wire(builder, groups, pageTokens, share);
    }

    /** What a node that is not node 0 does for its ranks. */
    NodeRole follow(List<RankGroup> groups, int pageTokens, NodeShare share) {
        return disaggregation.follow(groups, pageTokens, share);
    }

    @Override
    public void started() {
        disaggregation.register();
    }

    /** On a node that is not node 0, before its ranks end. */
    void endTransfers() {
        disaggregation.endTransfers();
    }

    /** After the engine has been closed. */
    @Override
    public void close() {
        disaggregation.close();
        if (bootstrap != null) {
            bootstrap.close();
        }
    }
}
