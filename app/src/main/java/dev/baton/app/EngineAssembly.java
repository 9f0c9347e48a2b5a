package dev.baton.app;

import dev.baton.engine.DispatchPolicy;
import dev.baton.engine.Engine;
import dev.baton.engine.EngineException;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.forward.KernelWarmup;
import dev.baton.engine.forward.KvMemory;
import dev.baton.engine.node.NodeExperts;
import dev.baton.engine.node.NodeProfiles;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.parallel.RankShare;
import dev.baton.engine.record.ExpertRecorder;
import dev.baton.engine.record.Profiler;
import dev.baton.engine.rehearse.Rehearsal;
import dev.baton.engine.schedule.SchedulePolicy;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.model.ModelException;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.protocol.log.RankLabel;
import java.lang.System.Logger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** A running engine made from launch flags: model, devices, ranks, schedulers, recorder. Owns what it made. */
public final class EngineAssembly implements AutoCloseable {
    private static final Logger LOG = System.getLogger(EngineAssembly.class.getName());

    private static final Duration KERNEL_WARMUP = Duration.ofSeconds(20);

    private final ModelLoader loader;
    private final List<RankGroup> groups;
    private final @Nullable Tokenizer tokenizer;
    private final Profiler profiler;
    private final Engine engine;
    /** Null where one JVM has all ranks. */
    private final @Nullable NodeShare share;

    private EngineAssembly(
            ModelLoader loader,
            List<RankGroup> groups,
            @Nullable Tokenizer tokenizer,
            Profiler profiler,
            Engine engine,
            @Nullable NodeShare share) {
        this.loader = loader;
        this.groups = groups;
        this.tokenizer = tokenizer;
        this.profiler = profiler;
        this.engine = engine;
        this.share = share;
    }

    /** What turns an engine into one half of a pair; {@link #NONE} leaves it whole. */
    public interface RoleWiring {
        /** Nothing to wire. */
        RoleWiring NONE = new RoleWiring() {};

        /** Where the KV pool must lie. */
        default KvMemory kvMemory() {
            return KvMemory.DEVICE;
        }

        /** KV tokens that a decode server keeps free for each request. */
        default int reservedDecodeTokens() {
            return SchedulerConfig.DEFAULT.reservedDecodeTokens();
        }

        /** Whether kernels are warmed up before the engine is handed out: for servers, whose clients wait until they are ready. */
        default boolean warmsKernels() {
            return false;
        }

        /** Called before the schedulers are made. */
        default void wire(
                LocalEngine.Builder builder, List<RankGroup> groups, int pageTokens, @Nullable NodeShare share) {}

        /** Called when the engine runs. */
        default void started() {}
    }

    /**
     * Loads the model and starts the engine.
     *
     * @throws EngineException CONFIGURATION when flags, model and machine do not fit
     * @throws ModelException when the model's folder is not sound
     */
    public static EngineAssembly start(ServerArgs args, RoleWiring role) {
        return start(args, role, null);
    }

    /**
     * As {@link #start(ServerArgs, RoleWiring)}.
     *
     * @param ropePrecision of the rotary frequencies; null: as {@link LoadOptions#ropePrecision} says
     */
    static EngineAssembly start(ServerArgs args, RoleWiring role, @Nullable RopePrecision ropePrecision) {
        Path folder = modelFolder(args);
        LoadOptions.Format format = format(args);
        ModelLoader loader = ModelLoader.open(folder, format, 1);
        List<RankGroup> groups = new ArrayList<>();
        NodeShare share = null;
        try {
            ModelConfig config = loader.config();
            Devices devices = Devices.of(args, config);
            Tokenizer tokenizer = tokenizer(args, folder, format);
            ParallelShape shape = ParallelFlags.shape(args);
            PipelineFlags.requireSound(args, shape);
            int replicas = shape.replicas();
            LoadOptions options = loadOptions(args, shape, config, devices, format, role)
                    .with()
                    .ropePrecision(ropePrecision)
                    .build();
            Rehearsal rehearsal = rehearsal(args, shape);
            if (NodeFlags.areSeveral(args)) {
                share = NodeFlags.join(args, shape, folder);
            }
            log("Load weight begin.");
            for (int dp = 0; dp < replicas; dp++) {
                LoadOptions own = options.with()
                        .threadPrefix(replicas > 1 ? "dp" + dp : "rank")
                        .build();
                groups.addAll(startGroups(loader, own, devices, rehearsal, dp, share));
            }
            RankGroup first = groups.getFirst();
            log(String.format(
                    Locale.ROOT,
                    "Load weight end. type=%s, dtype=%s, mem usage=%.2f GB.",
                    config.architecture(),
                    config.dtype(),
                    first.weightBytes() / 1e9));
            log(String.format(
                    Locale.ROOT,
                    "KV Cache is allocated. #tokens: %d, KV size: %.2f GB",
                    first.capacityTokens(),
                    first.cacheBytes() / 1e9));
            if (role.warmsKernels() && devices.compilesWhileRunning()) {
                warmUp(groups, config);
            }
            Profiler profiler = new Profiler(groups, rehearsal.note());
            LocalEngine.Builder builder = LocalEngine.builder(
                            info(args, config, first), schedulerConfig(args, shape, devices, first, role), groups::get)
                    .dataParallel(groups.size())
                    .dispatch(DispatchPolicy.of(args.text("load-balance-method")))
                    .endTokenIds(new HashSet<>(config.eosIds()))
                    .labels(dp -> label(groups.get(dp), dp))
                    .profile(share == null ? profiler : new NodeProfiles(share, first, profiler))
                    .experts(
                            share == null
                                    ? ExpertRecorder.of(groups)
                                    : ExpertRecorder.of(groups, NodeExperts.of(share, first)))
                    .tokenizer(tokenizer)
                    .grammars(!"none".equals(args.textOrNull("grammar-backend")));
            Integer seed = args.integerOrNull("random-seed");
            if (seed != null) {
                builder.seed(seed);
            }
            role.wire(builder, groups, args.integer("page-size"), share);
            Engine engine = builder.build();
            role.started();
            announce(engine.info(), args, devices);
            return new EngineAssembly(loader, groups, tokenizer, profiler, engine, share);
        } catch (RuntimeException | Error e) {
            if (share != null) {
                share.failed(e);
                share.close();
            }
            unload(groups, loader);
            throw e;
        }
    }

    /** What {@code --rehearse} asks for; said in the log. */
    static Rehearsal rehearsal(ServerArgs args, ParallelShape shape) {
        Rehearsal rehearsal = Rehearsal.of(args.texts("rehearse"));
        rehearsal.requireRanks(shape.worldRanks());
        if (rehearsal.isOn()) {
            LOG.log(
                    Logger.Level.WARNING,
                    "REHEARSAL: " + rehearsal.note() + ". Times are the model's, not this machine's");
        }
        return rehearsal;
    }

    /**
     * Starts the ranks of a replica that live in this JVM.
     *
     * @param share null where all do
     * @return the replica's attention groups
     */
    static List<RankGroup> startGroups(
            ModelLoader loader,
            LoadOptions options,
            Devices devices,
            Rehearsal rehearsal,
            int dp,
            @Nullable NodeShare share) {
        ParallelShape shape = options.shape();
        ReplicaRanks ranks = devices.of(dp, shape, options.pipeline().messages(), options.collectiveDeadline());
        CommunicatorSupplier communicators = share == null
                ? ranks.communicators()
                : share.communicators(shape, options.pipeline().messages(), options.collectiveDeadline());
        return loader.startGroups(
                options,
                rehearsal.devices(ranks.devices(), dp * shape.replicaRanks()),
                rehearsal.communicators(communicators),
                share == null ? RankShare.WHOLE : share);
    }

    static LoadOptions.Format format(ServerArgs args) {
        return args.text("load-format").equals("dummy") ? LoadOptions.Format.DUMMY : LoadOptions.Format.SAFETENSORS;
    }

    static Path modelFolder(ServerArgs args) {
        Path folder = Path.of(args.text("model-path"));
        if (!Files.isDirectory(folder)) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--model-path " + folder + ": no such directory (models are local folders with config.json)");
        }
        return folder;
    }

    static @Nullable Tokenizer tokenizer(ServerArgs args, Path folder, LoadOptions.Format format) {
        String other = args.textOrNull("tokenizer-path");
        Path from = other == null ? folder : Path.of(other);
        if (args.on("skip-tokenizer-init")) {
            return null;
        }
        if (format == LoadOptions.Format.DUMMY && other == null && !Files.exists(from.resolve("tokenizer.json"))) {
            log("no tokenizer.json in " + from + ": requests must carry input_ids");
            return null;
        }
        return Tokenizer.load(from);
    }

    static LoadOptions loadOptions(
            ServerArgs args,
            ParallelShape shape,
            ModelConfig config,
            Devices devices,
            LoadOptions.Format format,
            RoleWiring role) {
        Integer context = args.integerOrNull("context-length");
        int contextTokens = context == null ? config.maxPositions() : context;
        int running = shape.perScheduler("--max-running-requests", devices.runningRequests());
        int chunk = shape.perScheduler("--chunked-prefill-size", devices.chunkTokens());
        int stepTokens = chunk == -1 ? Math.max(args.integer("max-prefill-tokens"), contextTokens) : chunk;
        return LoadOptions.DEFAULT
                .with()
                .format(format)
                .shape(shape)
                .dispatch(ParallelFlags.dispatch(args))
                .experts(ExpertFlags.options(args))
                .cacheType(devices.cacheType())
                .contextTokens(context == null ? 0 : context)
                .maxRunningRequests(running)
                .maxStepTokens(Math.max(stepTokens, running))
                .maxTotalTokens(devices.totalTokens(contextTokens))
                .memoryFraction(devices.memoryFraction())
                .logitRows(devices.logitRows())
                .kvMemory(role.kvMemory())
                .pipeline(PipelineFlags.options(args))
                .collectiveDeadline(Duration.ofMillis((long) (args.decimal("watchdog-timeout") * 1000)))
                .build();
    }

    private static SchedulerConfig schedulerConfig(
            ServerArgs args, ParallelShape shape, Devices devices, RankGroup first, RoleWiring role) {
        SchedulerConfig.Builder builder = SchedulerConfig.DEFAULT.toBuilder()
                .maxRunningRequests(shape.perScheduler("--max-running-requests", devices.runningRequests()))
                .maxTotalTokens(first.capacityTokens())
                .chunkedPrefillTokens(shape.perScheduler("--chunked-prefill-size", devices.chunkTokens()))
                .maxPrefillTokens(Math.min(args.integer("max-prefill-tokens"), first.maxStepTokens()))
                .pageTokens(args.integer("page-size"))
                .policy(SchedulePolicy.of(args.text("schedule-policy")))
                .conservativeness(args.decimal("schedule-conservativeness"))
                .radixCache(!args.on("disable-radix-cache"))
                .overlap(!args.on("disable-overlap-schedule"))
                .decodeLogInterval(args.integer("decode-log-interval"))
                .reservedDecodeTokens(role.reservedDecodeTokens())
                .watchdogSeconds(args.decimal("watchdog-timeout"));
        Integer queued = args.integerOrNull("max-queued-requests");
        if (queued != null) {
            builder.maxQueuedRequests(queued);
        }
        return PipelineFlags.schedule(args, builder).build();
    }

    private static EngineInfo info(ServerArgs args, ModelConfig config, RankGroup first) {
        String mode = args.text("disaggregation-mode");
        return new EngineInfo(
                args.text("model-path"),
                config.architecture().className(),
                config.architecture().modelType(),
                config.vocabSize(),
                first.contextTokens(),
                first.capacityTokens(),
                0,
                0,
                args.integer("page-size"),
                args.integer("tp-size"),
                args.integer("dp-size"),
                mode.equals("null") ? null : mode,
                first.weightBytes(),
                first.cacheBytes());
    }

    /** One group after the other; groups that share ranks take part with nothing of their own meanwhile. */
    private static void warmUp(List<RankGroup> groups, ModelConfig config) {
        groups.forEach(RankGroup::nothingToRun);
        for (RankGroup group : groups) {
            if (group.firstRank() > 0) {
                // The first group of the replica has run the same code.
                continue;
            }
            log(KernelWarmup.run(group, group.maxStepTokens(), config.vocabSize(), KERNEL_WARMUP)
                    .toString());
            group.nothingToRun();
        }
    }

    private static RankLabel label(RankGroup group, int dp) {
        ParallelShape shape = group.shape();
        int first = group.firstRank();
        return new RankLabel(
                shape.dataParallel() > 1 ? dp : -1,
                shape.pipelineParallel() > 1 ? 0 : -1,
                shape.tensorParallel() > 1 ? shape.tensorRankOf(first) : -1,
                shape.expertParallel() > 1
                        ? shape.layout(first).experts().experts().rank()
                        : -1);
    }

    private static void announce(EngineInfo info, ServerArgs args, Devices devices) {
        log("max_total_num_tokens=" + info.maxTotalTokens() + ", chunked_prefill_size=" + devices.chunkTokens()
                + ", max_prefill_tokens=" + args.integer("max-prefill-tokens") + ", max_running_requests="
                + info.maxRunningRequests() + ", context_len=" + info.contextTokens());
    }

    private static void log(String message) {
        LOG.log(Logger.Level.INFO, message);
    }

    /** The engine; it lives until {@link #close}. */
    public Engine engine() {
        return engine;
    }

    /** Completes with the reason when ranks on other nodes have gone; never where one JVM has all ranks. */
    public CompletableFuture<String> lost() {
        CompletableFuture<String> lost = new CompletableFuture<>();
        if (share != null) {
            share.whenOver(end -> {
                // Node 0 is this one: its own end is no loss.
                if (end.ended() != 0) {
                    lost.complete(end.text());
                }
            });
        }
        return lost;
    }

    /** The model's configuration. */
    public ModelConfig config() {
        return loader.config();
    }

    /** Null with {@code --skip-tokenizer-init} or where there is none. */
    public @Nullable Tokenizer tokenizer() {
        return tokenizer;
    }

    /** Weights that a rank may still read stay mapped: to unmap them under it ends the JVM. */
    private static void unload(List<RankGroup> groups, ModelLoader loader) {
        groups.forEach(RankGroup::close);
        if (groups.stream().allMatch(RankGroup::hasEnded)) {
            loader.close();
        } else {
            LOG.log(Logger.Level.WARNING, "A rank did not end in time; the model's weights stay mapped");
        }
    }

    @Override
    public void close() {
        engine.close();
        profiler.close();
        if (share != null) {
            share.close();
        }
        unload(groups, loader);
        if (tokenizer != null) {
            tokenizer.close();
        }
    }
}
