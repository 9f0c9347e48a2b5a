package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.CommunicationQueue;
import dev.baton.engine.arch.Decoder;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.ExpertPlacement;
import dev.baton.engine.arch.ForwardContext;
import dev.baton.engine.arch.LayerHook;
import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.LocalExperts;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.arch.TwoHalves;
import dev.baton.engine.arch.WeightLoader;
import dev.baton.engine.arch.Workspace;
import dev.baton.engine.balance.RankExperts;
import dev.baton.engine.forward.RankObserver.Phase;
import dev.baton.engine.overlap.TwoBatchSplit;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One rank: weights, KV cache, tables, and the execution of step plans. Made and used on the rank's thread only. Made
 * in two moves, because the size of the cache depends on what is left beside the weights on every rank: the constructor
 * loads the weights, {@link #allocate} the rest.
 */
public final class ModelRunner {
    private final ModelConfig config;
    private final Layout layout;
    private final Device device;
    private final RankCommunicators communicators;
    private final @Nullable RankExperts balance;
    private final RunnerOptions options;
    private final Decoder decoder;
    private final long weightBytes;
    private final CommunicationQueue queue;
    private final StepEnding ending;

    private @Nullable RunnerMemory memory;
    private Ops ops;
    private RankCommunicators collectives;
    private Watch watch;
    private LayerListener layerListener = LayerListener.NONE;

    /**
     * Loads the rank's weights.
     *
     * @param weights must outlive the device
     * @param communicators of as many ranks as the layout has
     * @param balance where the rank's experts lie, and how they are counted and moved; null for a model without
     */
    public ModelRunner(
            ModelConfig config,
            Layout layout,
            WeightSource weights,
            Device device,
            RankCommunicators communicators,
            @Nullable RankExperts balance,
            RunnerOptions options) {
        if (options.contextTokens() < 1 || options.maxRows() < 1 || options.maxStepTokens() < 1) {
            throw new EngineException(
                    EngineException.Code.CONFIGURATION,
                    "context, rows and tokens of a step must be at least 1: " + options);
        }
        this.config = config;
        this.layout = layout;
        this.device = device;
        this.communicators = communicators;
        this.balance = balance;
        this.options = options;
        this.ops = device.ops();
        this.watch = Watch.of(null, device);
        this.collectives = communicators;
        WeightLoader loader = new WeightLoader(weights, device, config);
        try {
            device.beginPlacing();
            this.decoder = new Decoder(
                    config,
                    layout,
                    loader,
                    new Decoder.Options(
                            options.contextTokens(),
                            options.ropePrecision(),
                            options.alwaysAbsorbed(),
                            balance == null ? ExpertPlacement.IDENTITY : balance,
                            options.dispatch()));
            device.endPlacing();
        } catch (TensorException e) {
            throw MemoryPlan.weightsDoNotFit(loader.bytes(), device.info().memoryBytes(), e);
        }
        if (balance != null) {
            balance.attach(decoder.experts());
        }
        this.queue = layout.experts().dispatched() && options.dispatch().overlap() != DispatchOptions.Overlap.NONE
                ? CommunicationQueue.threaded(Thread.currentThread().getName() + "-dispatch")
                : CommunicationQueue.INLINE;
        this.ending = new StepEnding(decoder, device, options.logitRows());
        this.weightBytes = loader.bytes() + (balance == null ? 0 : balance.bufferBytes());
        if (RunnerMemory.inHalves(decoder, layout, options)) {
            decoder.requireHalves();
        }
    }

    /** How the rank's memory divides. */
    public MemoryPlan memoryPlan() {
        return RunnerMemory.plan(config, layout, device, communicators, decoder, options, weightBytes);
    }

    /** KV slots that this rank can have, see {@link MemoryPlan#capacityTokens}. */
    public int fittingCapacityTokens() {
        long useful = (long) options.maxRows() * options.contextTokens();
        return memoryPlan().capacityTokens(options.maxTotalTokens(), useful);
    }

    /** Allocates cache, tables and buffers; once. {@code capacityTokens} must be the same on every rank. */
    public void allocate(int capacityTokens) {
        if (memory != null) {
            throw new IllegalStateException("allocated already");
        }
        try {
            this.memory =
                    RunnerMemory.allocate(config, layout, device, communicators, decoder, options, capacityTokens);
        } catch (TensorException e) {
            throw memoryPlan().explain("cache and buffers do not fit beside the weights", e);
        }
    }

    /** The rank's cache. */
    public KvCache cache() {
        return memory().cache();
    }

    /** Bytes of the rank's weights. */
    public long weightBytes() {
        return weightBytes;
    }

    /** The rank's experts, one entry a MoE layer; a slot's weights may be replaced on the rank's thread between steps. */
    public List<LocalExperts> experts() {
        return decoder.experts();
    }

    /** Placement, counts and moves of the rank's experts; null for a model without. */
    public @Nullable RankExperts balance() {
        return balance;
    }

    /** The rank's device. */
    public Device device() {
        return device;
    }

    /** The rank's place. */
    public Layout layout() {
        return layout;
    }

    public RunnerOptions options() {
        return options;
    }

    /** Watches the steps to come; null ends it. On the rank's thread, between steps. */
    public void observe(@Nullable RankObserver next) {
        if (next != null) {
            next.attach(device);
        }
        this.watch = Watch.of(next, device);
        this.ops = next == null ? device.ops() : next.wrap(device.ops());
        memory().streams().observe(next);
        this.collectives = next == null
                ? communicators
                : communicators.map(member ->
                        member.size() == 1 ? member : new RankCommunicators.Member(next.wrap(member), member.ranks()));
    }

    /** Follows the layers of the steps to come. On the rank's thread, between steps. */
    public void listenToLayers(LayerListener listener) {
        this.layerListener = listener;
    }

    /** Sees the logits of the steps to come (rank 0 only); null ends it. On the rank's thread, between steps. */
    public void listenToLogits(@Nullable LogitsListener listener) {
        memory().output().listen(listener);
    }

    private RunnerMemory memory() {
        if (memory == null) {
            throw new IllegalStateException("allocate() comes first");
        }
        return memory;
    }

    /**
     * Executes one plan, as {@link StepPlan} says. Every rank of the last stage returns the same ids; log probabilities
     * come from its first.
     *
     * @throws EngineException INTERNAL when the plan does not fit the tables or buffers
     */
    public StepResult execute(StepPlan plan) {
        return execute(plan, shapeOfOneGroup(plan));
    }

    /** What a step of a replica of one attention group brings. */
    public static StepShape shapeOfOneGroup(StepPlan plan) {
        StepShape shape = StepShape.single(plan.tokens(), LogitRows.countOf(plan), plan.mode() == ForwardMode.EXTEND);
        return TwoBatchSplit.possible(List.of(plan)) ? shape.inHalves() : shape;
    }

    /** The same for a rank of an attention group, see {@link #begin}. */
    public StepResult execute(StepPlan plan, StepShape shape) {
        return begin(plan, shape).await();
    }

    /**
     * Executes a plan as far as the host must: on an asynchronous device that chooses the tokens by itself, the step may
     * still run, and the next one may be begun. Steps end in their order.
     *
     * @param plan of the rank's group; one without tokens when the group only takes part
     * @param shape what all groups bring
     */
    public PendingStep begin(StepPlan plan, StepShape shape) {
        long startNanos = System.nanoTime();
        watch.stepBegan(plan);
        try {
            PendingStep step = run(memory(), plan, shape, startNanos);
            watch.stepEnded(plan, step);
            return step;
        } finally {
            watch.stepLeft();
        }
    }

    private PendingStep run(RunnerMemory m, StepPlan plan, StepShape shape, long startNanos) {
        requireFits(plan);
        watch.began(Phase.PREPARE);
        m.output().begin(plan);
        StepForm form = form(m, plan);
        if (form.choosesOnDevice()) {
            m.choices().collectForNext();
        } else {
            m.choices().collectAll();
        }
        m.choices().entering(plan);
        // Before the plan's own ids: what comes late may be of a row's former owner.
        m.streams().takeIds(plan, m.tables());
        m.tables().apply(plan);
        StepInputBuffers.Filled filled =
                m.inputs().fill(plan, m.tables(), m.output().rows(), form);
        watch.ended(Phase.PREPARE);
        ForwardContext context =
                new ForwardContext(ops, collectives, m.workspace(), m.cache().all(), filled.inputs(), shape, queue);
        if (form.recorded()) {
            watch.began(Phase.FORWARD);
            m.graphs().run(form, () -> decode(m, context, filled.choices()));
            watch.ended(Phase.FORWARD);
            if (!form.choosesOnDevice()) {
                ending.recorded(m, plan, context, form, watch);
            }
        } else if (shape.totalTokens() > 0) {
            operators(m, plan, context, form, filled.choices());
        } else {
            device.synchronize();
        }
        PendingStep step = form.choosesOnDevice()
                ? ending.leave(m, plan, startNanos, watch)
                : new PendingStep(plan, m.output().result(plan, startNanos, System.nanoTime()));
        if (balance != null) {
            balance.passEnded(plan, filled.inputs().ids(), collectives.tensor().communicator());
        }
        return step;
    }

    /** The step operator by operator. */
    private void operators(
            RunnerMemory m, StepPlan plan, ForwardContext context, StepForm form, StepForm.Choices choices) {
        StepShape shape = context.shape();
        Workspace stream = m.streams().begin(plan, m.tables());
        watch.began(Phase.FORWARD);
        if (plan.tokens() > 0) {
            m.inputs().begin(ops, context.inputs(), m.tables());
        }
        StepHalves halves = shape.halves() ? m.halves() : null;
        Tensor states = halves == null
                ? decoder.forward(context, stream, hook(plan), choices.wanted())
                : inHalves(m, halves, plan, context, stream);
        watch.ended(Phase.FORWARD);
        m.streams().end(plan);
        if (layout.stage().isLast()) {
            ending.operators(m, plan, context, states, form, choices, watch);
        }
    }

    private Tensor inHalves(
            RunnerMemory m, StepHalves halves, StepPlan plan, ForwardContext context, Workspace stream) {
        LogitRows rows = m.output().rows();
        Tensor wanted = m.rowIndices().rowRange(0, rows.count());
        TwoHalves both = halves.of(plan, context, m.tables(), rows, wanted, m.staging());
        return decoder.forward(context, stream, hook(plan), wanted, both);
    }

    private StepForm form(RunnerMemory m, StepPlan plan) {
        boolean plain = layerListener == LayerListener.NONE
                && (balance == null || !balance.isActive())
                && layout.group().size() == 1
                && layout.stage().size() == 1;
        boolean alone =
                communicators.tensor().size() == 1 && communicators.attention().size() == 1;
        boolean recordable = alone || communicators.tensor().communicator().isRecordable();
        return StepForm.of(
                plan, m, plain && recordable && !watch.operators(), plain && alone && device.isAsynchronous());
    }

    /** What a graph records: from the ids to the choice of every sequence. */
    private void decode(RunnerMemory m, ForwardContext context, StepForm.Choices choices) {
        m.inputs().begin(ops, context.inputs(), m.tables());
        Tensor states = decoder.forward(context, m.streams().only(), LayerHook.NONE, choices.wanted());
        int sequences = (int) choices.wanted().size(0);
        m.choices().choose(ops, decoder.logits(context, m.logitWorkspace(), states, 0, sequences), choices, 0);
    }

    private LayerHook hook(StepPlan plan) {
        LayerListener listener = layerListener;
        return listener == LayerListener.NONE ? LayerHook.NONE : layer -> listener.afterLayer(plan, layer);
    }

    /** Waits until what other stages expect of this one has left; on the rank's thread, after its last step. */
    public void drain() {
        queue.close();
        if (memory != null) {
            memory.streams().drain();
            // What they have recorded of the communicators goes before those do.
            memory.graphs().close();
        }
    }

    private void requireFits(StepPlan plan) {
        if (plan.tokens() > options.maxStepTokens() || plan.sequences() > options.maxRows()) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "step " + plan.step() + " has " + plan.tokens() + " tokens of " + plan.sequences()
                            + " sequences, this rank takes " + options.maxStepTokens() + " tokens and "
                            + options.maxRows() + " sequences");
        }
    }
}
