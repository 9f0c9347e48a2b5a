package dev.baton.engine.disagg;

import dev.baton.engine.EngineException;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.DecodeTransfer;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.KvRegions;
import dev.baton.engine.disagg.transfer.LayerRange;
import dev.baton.engine.disagg.transfer.PrefillTransfer;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.disagg.transfer.TransferOptions;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.node.NodeRole;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.node.WireBuffer;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.StepObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * What makes an engine one half of a pair: give {@link #kvMemory} to the loader, {@link #wire} the engine's builder, and
 * on a prefill server {@link #register} once the bootstrap server answers. The engine closes its transfers; closing
 * this afterwards unmaps shared memory.
 */
public final class Disaggregation implements AutoCloseable {
    private static final Duration REGISTER_LIMIT = Duration.ofSeconds(60);

    private final DisaggregationConfig config;
    private final String server;
    private final SharedKvMemory memory;
    /** Of this JVM's ranks. */
    private final List<PrefillTransfer> prefills = new CopyOnWriteArrayList<>();

    private final List<DecodeTransfer> decodes = new CopyOnWriteArrayList<>();
    /** Of every rank, as nodes tell of them; guarded by itself. */
    private final List<BootstrapClient.Registration> registrations = new ArrayList<>();
    /** On node 0 of several: by group, the other nodes. */
    private final List<GroupNodes> nodes = new ArrayList<>();

    private volatile @Nullable RoleFollower follower;
    private int pageTokens = 1;
    /** Of the server. */
    private int ranks;

    /**
     * @param server this server's name in the other side's messages, e.g. {@code 10.0.0.1:30000}
     */
    public Disaggregation(DisaggregationConfig config, String server) {
        this.config = config;
        this.server = server;
        this.memory = new SharedKvMemory(config.mode() == Mode.DECODE, config.backend());
    }

    /** Where KV caches must lie. */
    public KvMemory kvMemory() {
        return memory;
    }

    boolean isPrefill() {
        return config.mode() == Mode.PREFILL;
    }

    /**
     * Sets the builder's roles, observers and refusals.
     *
     * @param groups one a DP rank
     * @param pageTokens page size
     * @param share this node's part of the ranks, on node 0; null where one JVM has them all
     */
    public void wire(LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens, @Nullable NodeShare share) {
        this.pageTokens = pageTokens;
        if (share != null && config.mode() != Mode.NONE) {
            groups.forEach(group -> nodes.add(new GroupNodes(share, group, nodes.size())));
            share.whenRoleSpeaks(this::said);
        }
        switch (config.mode()) {
            case NONE -> {}
            case PREFILL -> wirePrefill(builder, groups);
            case DECODE -> wireDecode(builder, groups);
        }
    }

    /**
     * What a node that is not node 0 does for its ranks; closed with this.
     *
     * @param groups one a DP rank
     * @param pageTokens page size
     */
    public NodeRole follow(List<RankGroup> groups, int pageTokens, NodeShare share) {
        this.pageTokens = pageTokens;
        if (config.mode() == Mode.NONE) {
            return NodeRole.NONE;
        }
        RoleFollower follower = new RoleFollower(this, groups, share);
        this.follower = follower;
        return follower;
    }

    /** Another node's role has said something to this one, node 0. */
    private void said(int node, WireBuffer body) {
        GroupNodes group = nodes.get(body.intValue());
        switch (RoleCodec.read(body)) {
            case RoleMessage.RoomState state -> group.said(node, state);
            case RoleMessage.Registered registered -> {
                synchronized (registrations) {
                    registrations.addAll(registered.ranks());
                    registrations.notifyAll();
                }
            }
            case RoleMessage other -> throw new IllegalStateException("only node 0 says " + other);
        }
    }

    /** A prefill group's ranks of this JVM. */
    record Prefill(PrefillTransfer transfer, List<BootstrapClient.Registration> registrations) {}

    /**
     * Lets the ranks of a group that live here send their pages.
     *
     * @param sends what they ask after each layer
     */
    Prefill prefill(RankGroup group, int dp, int groups, LayerSends sends) {
        KvRegions regions = KvLayouts.regions(group, pageTokens, memory);
        PrefillTransfer transfer = config.backend() == TransferBackend.FAKE
                ? FakeTransfer.prefill()
                : new SocketPrefillTransfer(options(), regions);
        prefills.add(transfer);
        group.setLayerListeners(rank -> {
                    LayerRange held = regions.shares().get(rank).layers();
                    return sends.listener(rank, held.first(), held.count(), regions.get(rank)::mark);
                })
                .join();
        int inStage = group.size() / group.stages();
        List<BootstrapClient.Registration> ranks = new ArrayList<>();
        regions.here()
                .forEach((rank, region) -> ranks.add(new BootstrapClient.Registration(
                        inStage,
                        rank % inStage,
                        groups,
                        dp,
                        group.stages(),
                        rank / inStage,
                        region.layout().held(),
                        config.transferHost(),
                        transfer.address().getPort(),
                        pageTokens,
                        group.runner(rank).cache().dtype().name(),
                        region.layout().model())));
        return new Prefill(transfer, ranks);
    }

    private void wirePrefill(LocalEngine.Builder builder, List<RankGroup> groups) {
        List<List<StepObserver>> observers = new ArrayList<>();
        List<LayerSends> sends = new ArrayList<>();
        List<PrefillTransfer> transfers = new ArrayList<>();
        for (int dp = 0; dp < groups.size(); dp++) {
            RankGroup group = groups.get(dp);
            ranks += group.size();
            LayerSends own = new LayerSends(group.ranksHere());
            sends.add(own);
            observers.add(List.of(own));
            PrefillTransfer local = null;
            if (group.ranksHere() > 0) {
                Prefill made = prefill(group, dp, groups.size(), own);
                local = made.transfer();
                synchronized (registrations) {
                    registrations.addAll(made.registrations());
                }
            }
            transfers.add(spread(local, dp, own));
        }
        builder.observers(observers::get);
        builder.refused((request, reason) -> refusePrefill(transfers, request, reason));
        builder.roles((scheduler, executor, dp) -> new PrefillRole(
                scheduler,
                transfers.get(dp),
                dp,
                groups.get(dp).size(),
                groups.get(dp).config().layers(),
                sends.get(dp),
                config.failureProbability()));
    }

    /** The group's transfer: of this JVM's ranks, or over the nodes that have some. */
    private PrefillTransfer spread(@Nullable PrefillTransfer local, int dp, LayerSends sends) {
        if (nodes.isEmpty() || nodes.get(dp).count() == 0) {
            return Objects.requireNonNull(local);
        }
        NodePrefill spread = new NodePrefill(local, nodes.get(dp));
        nodes.get(dp).tell(new RoleMessage.Begin(""));
        sends.toOthers(spread::tell);
        return spread;
    }

    private void wireDecode(LocalEngine.Builder builder, List<RankGroup> groups) {
        List<List<StepObserver>> observers = new ArrayList<>();
        List<StepFence> fences = new ArrayList<>();
        List<HostOffload> offloads = new ArrayList<>();
        List<DecodeTransfer> transfers = new ArrayList<>();
        for (int dp = 0; dp < groups.size(); dp++) {
            RankGroup group = groups.get(dp);
            String instance = UUID.randomUUID().toString();
            DecodeTransfer local = group.ranksHere() > 0 ? decode(group, instance) : null;
            RankOffload offload = new RankOffload(group);
            fences.add(new StepFence());
            observers.add(List.of(fences.getLast(), offload));
            if (nodes.isEmpty() || nodes.get(dp).count() == 0) {
                transfers.add(Objects.requireNonNull(local));
                offloads.add(offload);
            } else {
                nodes.get(dp).tell(new RoleMessage.Begin(instance));
                transfers.add(new NodeDecode(local, nodes.get(dp)));
                offloads.add(new NodeOffload(offload, nodes.get(dp)));
            }
        }
        builder.observers(observers::get);
        builder.refused((request, reason) -> refuseDecode(transfers.getFirst(), request, reason));
        builder.roles((scheduler, executor, dp) ->
                new DecodeRole(scheduler, transfers.get(dp), offloads.get(dp), fences.get(dp), config, dp));
    }

    /**
     * Lets the ranks of a group that live here receive pages.
     *
     * @param instance names this server to prefill servers, the same on all nodes
     */
    DecodeTransfer decode(RankGroup group, String instance) {
        DecodeTransfer made;
        if (config.backend() == TransferBackend.FAKE) {
            made = FakeTransfer.decode();
        } else {
            PrefillDirectory directory = new PrefillDirectory(
                    config.bootstrapTimeout(), config.heartbeatInterval(), config.heartbeatMaxFailures());
            SocketDecodeTransfer transfer = new SocketDecodeTransfer(
                    options(), KvLayouts.regions(group, pageTokens, memory), directory, instance);
            directory.onLost(transfer::lostServer);
            made = transfer;
        }
        decodes.add(made);
        return made;
    }

    private TransferOptions options() {
        TransferOptions standard = TransferOptions.defaults(config.backend(), server);
        return standard.withListenHost(config.transferHost())
                .withTimeouts(config.bootstrapTimeout(), config.waitingTimeout(), standard.stallTimeout());
    }

    /** The decode server must not wait for a request that this server does not take. */
    private void refusePrefill(List<PrefillTransfer> transfers, EngineRequest request, String reason) {
        Bootstrap bootstrap = request.bootstrap();
        if (bootstrap != null && !Rooms.isFake(bootstrap)) {
            Integer told = request.dataParallelRank();
            int rank = told != null && told >= 0 && told < transfers.size()
                    ? told
                    : (int) Math.floorMod(bootstrap.room(), (long) transfers.size());
            transfers.get(rank).refuse(bootstrap.room(), server + " refused the request: " + reason);
        }
    }

    private void refuseDecode(DecodeTransfer transfer, EngineRequest request, String reason) {
        Bootstrap bootstrap = request.bootstrap();
        if (bootstrap != null && !Rooms.isFake(bootstrap)) {
            transfer.refuse(bootstrap, server + " refused the request: " + reason);
        }
    }

    /**
     * Tells the bootstrap server about every rank of a prefill server; nothing to do on others.
     *
     * @throws EngineException CONFIGURATION when it cannot be reached, UNAVAILABLE when a node does not tell its ranks
     */
    public void register() {
        if (!isPrefill() || config.backend() == TransferBackend.FAKE) {
            return;
        }
        List<BootstrapClient.Registration> all = awaitRegistrations();
        try (BootstrapClient client = new BootstrapClient()) {
            for (BootstrapClient.Registration rank : all) {
                client.register(config.bootstrapHost(), config.bootstrapPort(), rank);
            }
        }
    }

    private List<BootstrapClient.Registration> awaitRegistrations() {
        long deadline = System.nanoTime() + REGISTER_LIMIT.toNanos();
        synchronized (registrations) {
            while (registrations.size() < ranks) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    throw new EngineException(
                            EngineException.Code.UNAVAILABLE,
                            "other nodes told of " + registrations.size() + " of " + ranks + " prefill ranks within "
                                    + REGISTER_LIMIT);
                }
                try {
                    registrations.wait(Math.max(1, left / 1_000_000));
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new EngineException(EngineException.Code.UNAVAILABLE, "interrupted while registering", e);
                }
            }
            return List.copyOf(registrations);
        }
    }

    /** Ends what reads and writes the KV caches, before the ranks end: an engine does it with its roles. */
    public void endTransfers() {
        RoleFollower following = follower;
        if (following != null) {
            following.close();
        }
        prefills.forEach(PrefillTransfer::close);
        decodes.forEach(DecodeTransfer::close);
    }

    /** After the engine has been closed. */
    @Override
    public void close() {
        endTransfers();
        memory.close();
    }
}
