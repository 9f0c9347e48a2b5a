package dev.baton.engine.disagg;

import dev.baton.engine.LocalEngine;
import dev.baton.engine.disagg.DisaggregationConfig.Mode;
import dev.baton.engine.disagg.transfer.DecodeTransfer;
import dev.baton.engine.disagg.transfer.FakeTransfer;
import dev.baton.engine.disagg.transfer.KvLayout;
import dev.baton.engine.disagg.transfer.KvRegion;
import dev.baton.engine.disagg.transfer.PrefillTransfer;
import dev.baton.engine.disagg.transfer.SharedMemory;
import dev.baton.engine.disagg.transfer.SocketDecodeTransfer;
import dev.baton.engine.disagg.transfer.SocketPrefillTransfer;
import dev.baton.engine.disagg.transfer.TransferBackend;
import dev.baton.engine.disagg.transfer.TransferOptions;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import dev.baton.engine.schedule.StepObserver;
import java.util.ArrayList;
import java.util.List;

/**
 * What makes an engine one half of a pair: give {@link #kvMemory} to the loader, {@link #wire} the engine's builder, and
 * on a prefill server {@link #register} once the bootstrap server answers. The engine closes its transfers; closing
 * this afterwards unmaps shared memory.
 */
public final class Disaggregation implements AutoCloseable {
    private final DisaggregationConfig config;
    private final String server;
    private final SharedKvMemory memory;
    private final List<PrefillTransfer> prefills = new ArrayList<>();
    private final List<DecodeTransfer> decodes = new ArrayList<>();
    private final List<BootstrapClient.Registration> registrations = new ArrayList<>();

    /**
     * @param server this server's name in the other side's messages, e.g. {@code 10.0.0.1:30000}
     */
    public Disaggregation(DisaggregationConfig config, String server) {
        this.config = config;
        this.server = server;
        boolean wanted = config.mode() == Mode.DECODE
                && (config.backend() == TransferBackend.SHM
                        || config.backend() == TransferBackend.AUTO && SharedMemory.isSupported());
        this.memory = new SharedKvMemory(wanted);
    }

    /** Where KV caches must lie. */
    public KvMemory kvMemory() {
        return memory;
    }

    /**
     * Sets the builder's roles, observers and refusals.
     *
     * @param groups one a DP rank
     * @param pageTokens page size
     */
    public void wire(LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens) {
        switch (config.mode()) {
            case NONE -> {}
            case PREFILL -> wirePrefill(builder, groups, pageTokens);
            case DECODE -> wireDecode(builder, groups, pageTokens);
        }
    }

    private void wirePrefill(LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens) {
        List<List<StepObserver>> observers = new ArrayList<>();
        List<LayerSends> sends = new ArrayList<>();
        for (int dp = 0; dp < groups.size(); dp++) {
            RankGroup group = groups.get(dp);
            List<KvRegion> regions = KvLayouts.regions(group, pageTokens, memory);
            PrefillTransfer transfer = config.backend() == TransferBackend.FAKE
                    ? FakeTransfer.prefill()
                    : new SocketPrefillTransfer(options(), regions);
            prefills.add(transfer);
            LayerSends own = new LayerSends();
            sends.add(own);
            observers.add(List.of(own));
            group.setLayerListeners(rank ->
                            own.listener(rank, regions.get(rank).layout().held().first()))
                    .join();
            int inStage = group.size() / group.stages();
            for (int rank = 0; rank < group.size(); rank++) {
                KvLayout layout = regions.get(rank).layout();
                registrations.add(new BootstrapClient.Registration(
                        inStage,
                        rank % inStage,
                        groups.size(),
                        dp,
                        group.stages(),
                        rank / inStage,
                        layout.held(),
                        config.transferHost(),
                        transfer.address().getPort(),
                        pageTokens,
                        group.runner(rank).cache().dtype().name(),
                        layout.model()));
            }
        }
        builder.observers(observers::get);
        builder.refused(this::refusePrefill);
        builder.roles((scheduler, executor, dp) -> new PrefillRole(
                scheduler,
                prefills.get(dp),
                dp,
                groups.get(dp).size(),
                groups.get(dp).config().layers(),
                sends.get(dp),
                config.failureProbability()));
    }

    private void wireDecode(LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens) {
        List<List<StepObserver>> observers = new ArrayList<>();
        List<StepFence> fences = new ArrayList<>();
        List<RankOffload> offloads = new ArrayList<>();
        for (RankGroup group : groups) {
            decodes.add(decode(KvLayouts.regions(group, pageTokens, memory)));
            fences.add(new StepFence());
            offloads.add(new RankOffload(group));
            observers.add(List.of(fences.getLast(), offloads.getLast()));
        }
        builder.observers(observers::get);
        builder.refused(this::refuseDecode);
        builder.roles((scheduler, executor, dp) ->
                new DecodeRole(scheduler, decodes.get(dp), offloads.get(dp), fences.get(dp), config, dp));
    }

    private DecodeTransfer decode(List<KvRegion> regions) {
        if (config.backend() == TransferBackend.FAKE) {
            return FakeTransfer.decode();
        }
        PrefillDirectory directory = new PrefillDirectory(
                config.bootstrapTimeout(), config.heartbeatInterval(), config.heartbeatMaxFailures());
        SocketDecodeTransfer transfer = new SocketDecodeTransfer(options(), regions, directory);
        directory.onLost(transfer::lostServer);
        return transfer;
    }

    private TransferOptions options() {
        TransferOptions standard = TransferOptions.defaults(config.backend(), server);
        return standard.withListenHost(config.transferHost())
                .withTimeouts(config.bootstrapTimeout(), config.waitingTimeout(), standard.stallTimeout());
    }

    /** The decode server must not wait for a request that this server does not take. */
    private void refusePrefill(EngineRequest request, String reason) {
        Bootstrap bootstrap = request.bootstrap();
        if (bootstrap != null && !Rooms.isFake(bootstrap)) {
            Integer told = request.dataParallelRank();
            int rank = told != null && told >= 0 && told < prefills.size()
                    ? told
                    : (int) Math.floorMod(bootstrap.room(), (long) prefills.size());
            prefills.get(rank).refuse(bootstrap.room(), server + " refused the request: " + reason);
        }
    }

    private void refuseDecode(EngineRequest request, String reason) {
        Bootstrap bootstrap = request.bootstrap();
        if (bootstrap != null && !Rooms.isFake(bootstrap)) {
            decodes.getFirst().refuse(bootstrap, server + " refused the request: " + reason);
        }
    }

    /**
     * Tells the bootstrap server about every rank of a prefill server; nothing to do on others.
     *
     * @throws dev.baton.engine.EngineException CONFIGURATION when it cannot be reached
     */
    public void register() {
        if (registrations.isEmpty() || config.backend() == TransferBackend.FAKE) {
            return;
        }
        try (BootstrapClient client = new BootstrapClient()) {
            for (BootstrapClient.Registration rank : registrations) {
                client.register(config.bootstrapHost(), config.bootstrapPort(), rank);
            }
        }
    }

    /** After the engine has been closed. */
    @Override
    public void close() {
        prefills.forEach(PrefillTransfer::close);
        decodes.forEach(DecodeTransfer::close);
        memory.close();
    }
}
