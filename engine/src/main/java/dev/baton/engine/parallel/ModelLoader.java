package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.Architectures;
import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.balance.ExpertBalance;
import dev.baton.engine.balance.RankExperts;
import dev.baton.engine.balance.RanksHere;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.engine.forward.ModelRunner;
import dev.baton.engine.forward.RunnerOptions;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.Checkpoint;
import dev.baton.model.safetensors.DummyWeights;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.tensor.parallel.PointToPoint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A model folder, opened: its configuration and weights. Replicas that are started from one loader share the mapped
 * weights.
 */
public final class ModelLoader implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(ModelLoader.class.getName());

    private final ModelConfig config;
    private final WeightSource weights;
    /** Of the folder's stored outputs; null when it has none. */
    private final @Nullable RopePrecision recorded;

    private ModelLoader(ModelConfig config, WeightSource weights, @Nullable RopePrecision recorded) {
        this.recorded = recorded;
        this.config = config;
        this.weights = weights;
    }

    /**
     * Reads the configuration and maps the weights.
     *
     * @param seed of dummy weights
     * @throws dev.baton.model.ModelException when the folder does not hold a readable model
     * @throws EngineException CONFIGURATION when its architecture cannot be served
     */
    public static ModelLoader open(Path folder, LoadOptions.Format format, long seed) {
        ModelConfig config = ModelConfig.read(folder);
        Architectures.of(config);
        if (format == LoadOptions.Format.DUMMY) {
            return new ModelLoader(config, new DummyWeights(seed), null);
        }
        Checkpoint weights = Checkpoint.open(folder);
        try {
            RopePrecision recorded = GoldenRecording.recordings(folder).isEmpty()
                    ? null
                    : GoldenRecording.read(folder).ropePrecision(config, weights);
            return new ModelLoader(config, weights, recorded);
        } catch (RuntimeException e) {
            weights.close();
            throw e;
        }
    }

    /** Opens a folder and starts one replica that owns the weights, ranks being threads that meet in this JVM's memory. */
    public static RankGroup load(Path folder, LoadOptions options, DeviceSupplier devices) {
        return load(folder, options, devices, local(options));
    }

    /** Opens a folder and starts one replica that owns the weights. */
    public static RankGroup load(
            Path folder, LoadOptions options, DeviceSupplier devices, CommunicatorSupplier communicators) {
        ModelLoader loader = open(folder, options.format(), options.seed());
        try {
            return loader.start(options, devices, communicators).whenClosed(loader::close);
        } catch (RuntimeException e) {
            loader.close();
            throw e;
        }
    }

    /** The model's configuration. */
    public ModelConfig config() {
        return config;
    }

    /** The model's weights. */
    public WeightSource weights() {
        return weights;
    }

    /** Starts one replica of one attention group, whose ranks are threads of this JVM and meet in its memory. */
    public RankGroup start(LoadOptions options, DeviceSupplier devices) {
        return start(options, devices, local(options));
    }

    /** Ranks that are threads of this JVM and meet in its memory. */
    public static CommunicatorSupplier local(LoadOptions options) {
        return CommunicatorSupplier.local(options.shape(), options.pipeline().messages(), options.collectiveDeadline());
    }

    /** As {@link #startGroups}, for a replica of one attention group. */
    public RankGroup start(LoadOptions options, DeviceSupplier devices, CommunicatorSupplier communicators) {
        if (options.shape().attentionGroups() > 1) {
            throw new IllegalArgumentException("a replica of several attention groups has several schedulers");
        }
        return startGroups(options, devices, communicators, RankShare.WHOLE).getFirst();
    }

    /** As {@link #startGroups(LoadOptions, DeviceSupplier, CommunicatorSupplier, RankShare)}, ranks being threads of this JVM. */
    public List<RankGroup> startGroups(LoadOptions options, DeviceSupplier devices) {
        return startGroups(options, devices, local(options), RankShare.WHOLE);
    }

    /**
     * Starts one replica, or the ranks of it that live in this JVM. All its groups must be closed before its ranks end.
     *
     * @return its attention groups, one a scheduler
     * @throws EngineException CONFIGURATION when the model does not fit the layout or the memory
     */
    public List<RankGroup> startGroups(
            LoadOptions options, DeviceSupplier devices, CommunicatorSupplier communicators, RankShare share) {
        ParallelShape shape = options.shape();
        shape.requireFits(config);
        // One stage tells for all whether the layers divide.
        layout(options, 0).stage().layers(config.layers());
        ExpertBalance balance = ExpertBalance.of(
                options.experts(),
                config,
                shape.pipelineParallel(),
                shape.tensorParallel(),
                shape.expertParallel(),
                nodesOfStage(shape),
                new RanksHere(share.first(), share.count(shape.replicaRanks()), shape.replicaRanks()),
                (ranks, depth) -> {
                    Map<Integer, PointToPoint> ends =
                            communicators.openMessages(ranks, depth, options.collectiveDeadline());
                    ends.replaceAll((rank, end) -> communicators.messages(end));
                    return ends;
                });
        RunnerOptions runner = runnerOptions(options);
        options.dispatch()
                .requireFits(
                        shape.allToAll(), runner.maxStepTokens(), runner.maxRows(), shape.attentionTensorParallel());
        Ranks ranks = Ranks.start(
                options.threadPrefix(),
                shape.replicaRanks(),
                shape.pipelineParallel(),
                devices,
                communicators,
                share,
                (rank, device, groups) -> new ModelRunner(
                        config,
                        layout(options, rank),
                        weights,
                        device,
                        groups,
                        balance == null ? null : new RankExperts(balance, device, shape.expertPlace(rank)),
                        runner));
        int groups = shape.attentionGroups();
        int[] groupOf = new int[shape.replicaRanks()];
        for (int rank = 0; rank < groupOf.length; rank++) {
            groupOf[rank] = shape.attentionGroupOf(rank);
        }
        LockStep lockStep = groups == 1 ? null : new LockStep(ranks, groupOf, groups);
        List<RankGroup> all = new ArrayList<>();
        for (int group = 0; group < groups; group++) {
            all.add(new RankGroup(config, shape, ranks, lockStep, group));
        }
        return List.copyOf(all);
    }

    /** Nodes that share a stage; 1 where the nodes cut stages otherwise. */
    private static int nodesOfStage(ParallelShape shape) {
        return shape.nodes() % shape.pipelineParallel() == 0 ? shape.nodes() / shape.pipelineParallel() : 1;
    }

    private static Layout layout(LoadOptions options, int rank) {
        Layout layout = options.shape().layout(rank);
        return layout.withStage(layout.stage().withPartition(options.pipeline().stageLayers()));
    }

    private RunnerOptions runnerOptions(LoadOptions options) {
        int context = options.contextTokens() == 0 ? config.maxPositions() : options.contextTokens();
        if (context > config.maxPositions()) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--context-length " + context + " is longer than the model's " + config.maxPositions()
                            + " positions (max_position_embeddings)");
        }
        if (!(options.memoryFraction() > 0 && options.memoryFraction() <= 1)) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--mem-fraction-static must be in (0, 1], got " + options.memoryFraction());
        }
        if (options.maxTotalTokens() < 0) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "--max-total-tokens must be at least 1, got " + options.maxTotalTokens());
        }
        return new RunnerOptions(
                require("--context-length", context),
                require("--max-running-requests", options.maxRunningRequests()),
                require("tokens of a step", options.maxStepTokens()),
                require("rows of logits", options.logitRows()),
                options.cacheType(),
                options.maxTotalTokens(),
                options.memoryFraction(),
                ropePrecision(options),
                options.alwaysAbsorbed(),
                options.kvMemory(),
                options.pipeline().synchronous(),
                options.dispatch());
    }

    /** A folder with stored outputs is served as the model was that they were recorded from, every other with F32. */
    private RopePrecision ropePrecision(LoadOptions options) {
        if (options.ropePrecision() != null) {
            return options.ropePrecision();
        }
        if (recorded == RopePrecision.BF16) {
            LOG.log(
                    System.Logger.Level.INFO,
                    "{0} holds stored outputs (golden.json): rope frequencies are rounded to BF16, as they were there",
                    weights);
            return RopePrecision.BF16;
        }
        return RopePrecision.F32;
    }

    private static int require(String what, int value) {
        if (value < 1) {
            throw new EngineException(EngineException.Code.CONFIGURATION, what + " must be at least 1, got " + value);
        }
        return value;
    }

    /** Unmaps the weights: only after every replica is closed. */
    @Override
    public void close() {
        weights.close();
    }
}
