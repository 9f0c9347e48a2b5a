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
import dev.baton.engine.arch.StepInputs;
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
import dev.baton.tensor.parallel.Communicator;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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

    private @Nullable RunnerMemory memory;
    private Ops ops;
    private RankCommunicators collectives;
    private @Nullable RankObserver observer;
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
        this.collectives = communicators;
        WeightLoader loader = new WeightLoader(weights, device, config);
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
        if (balance != null) {
            balance.attach(decoder.experts());
        }
        this.queue = layout.experts().dispatched() && options.dispatch().overlap() != DispatchOptions.Overlap.NONE
                ? CommunicationQueue.threaded(Thread.currentThread().getName() + "-dispatch")
                : CommunicationQueue.INLINE;
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
        this.memory = RunnerMemory.allocate(config, layout, device, communicators, decoder, options, capacityTokens);
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
        this.observer = next;
        if (next != null) {
            next.attach(device);
        }
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

    /**
     * The same for a rank of an attention group.
     *
     * @param plan of the rank's group; one without tokens when the group only takes part
     * @param shape what all groups bring
     */
    public StepResult execute(StepPlan plan, StepShape shape) {
        RankObserver watching = observer;
        long startNanos = System.nanoTime();
        if (watching != null) {
            watching.stepBegan(plan);
        }
        StepResult result = run(memory(), plan, shape, startNanos);
        if (watching != null) {
            watching.stepEnded(plan, result);
        }
        return result;
    }

    private StepResult run(RunnerMemory m, StepPlan plan, StepShape shape, long startNanos) {
        requireFits(plan);
        began(Phase.PREPARE);
        m.output().begin(plan);
        // Before the plan's own ids: what comes late may be of a row's former owner.
        m.streams().takeIds(plan, m.tables());
        m.tables().apply(plan);
        boolean recorded = isRecorded(m, plan);
        int padded = recorded ? m.graphs().padded(plan.sequences()) : plan.sequences();
        int longest = longestContext(plan);
        int contextBound = recorded ? m.graphs().contextBound(longest) : longest;
        StepInputs inputs = m.inputs().fill(plan, m.tables(), padded, contextBound);
        ended(Phase.PREPARE);
        ForwardContext context =
                new ForwardContext(ops, collectives, m.workspace(), m.cache().all(), inputs, shape, queue);
        if (recorded) {
            m.graphs().run(padded, contextBound, () -> decode(m, context, padded));
            if (choosesFirst() || m.output().choosesAlike(plan)) {
                take(m, plan, m.logitWorkspace().rows(decoder.logitsBuffer(), padded), 0, plan.sequences());
            }
            shareIds(m, plan, m.output().choosesAlike(plan));
        } else if (shape.totalTokens() > 0) {
            Workspace stream = m.streams().begin(plan, m.tables());
            began(Phase.FORWARD);
            if (plan.tokens() > 0) {
                m.inputs().storeSlots(ops, inputs, m.tables().slotTable());
            }
            StepHalves halves = shape.halves() ? m.halves() : null;
            Tensor states = halves == null
                    ? decoder.forward(context, stream, hook(plan), wanted(m))
                    : inHalves(m, halves, plan, context, stream);
            ended(Phase.FORWARD);
            m.streams().end(plan);
            if (layout.stage().isLast()) {
                outputs(m, plan, context, states);
            }
        } else {
            device.synchronize();
        }
        StepResult result = m.output().result(plan, startNanos, System.nanoTime());
        if (balance != null) {
            balance.passEnded(plan, inputs.ids(), collectives.tensor().communicator());
        }
        return result;
    }

    private Tensor inHalves(
            RunnerMemory m, StepHalves halves, StepPlan plan, ForwardContext context, Workspace stream) {
        LogitRows rows = m.output().rows();
        Tensor wanted = m.rowIndices().rowRange(0, rows.count());
        TwoHalves both = halves.of(plan, context, m.tables(), rows, wanted, m.staging());
        return decoder.forward(context, stream, hook(plan), wanted, both);
    }

    /** A decode step whose every sequence is sampled, which nobody watches. */
    private boolean isRecorded(RunnerMemory m, StepPlan plan) {
        int sequences = plan.sequences();
        return plan.mode() == ForwardMode.DECODE
                && observer == null
                && layerListener == LayerListener.NONE
                && (balance == null || !balance.isActive())
                && isRecordable(communicators.tensor())
                && layout.group().size() == 1
                && layout.stage().size() == 1
                && m.graphs().records(sequences)
                && plan.tokens() == sequences
                && m.output().rows().count() == sequences;
    }

    private static boolean isRecordable(RankCommunicators.Member group) {
        return group.size() == 1 || group.communicator().isRecordable();
    }

    static int longestContext(StepPlan plan) {
        int longest = 0;
        for (int b = 0; b < plan.sequences(); b++) {
            longest = Math.max(longest, plan.contextLength(b));
        }
        return longest;
    }

    /** What a graph records: from the ids to the largest logits of every sequence. */
    private void decode(RunnerMemory m, ForwardContext context, int sequences) {
        m.inputs().storeSlots(ops, context.inputs(), m.tables().slotTable());
        Tensor states = decoder.forward(
                context, m.streams().only(), LayerHook.NONE, m.rowIndices().rowRange(0, sequences));
        m.output().chooseBest(ops, decoder.logits(context, m.logitWorkspace(), states, 0, sequences));
    }

    private LayerHook hook(StepPlan plan) {
        LayerListener listener = layerListener;
        return listener == LayerListener.NONE ? LayerHook.NONE : layer -> listener.afterLayer(plan, layer);
    }

    /** The step's rows whose logits are wanted, on the device. */
    private Tensor wanted(RunnerMemory m) {
        LogitRows rows = m.output().rows();
        for (int i = 0; i < rows.count(); i++) {
            m.staging().setAtIndex(ValueLayout.JAVA_INT, i, rows.token(i));
        }
        Tensor indices = m.rowIndices().rowRange(0, rows.count());
        device.toDevice(m.staging(), indices);
        return indices;
    }

    /**
     * Logits and choices, a slice of rows at a time; then every rank learns the chosen ids from rank 0.
     *
     * @param states F32 [rows, hidden]
     */
    private void outputs(RunnerMemory m, StepPlan plan, ForwardContext context, Tensor states) {
        OutputStage output = m.output();
        int rows = output.rows().count();
        boolean first = choosesFirst();
        int rounds = decoder.logitRounds(context.shape(), rows, options.logitRows());
        for (int round = 0; round < rounds; round++) {
            int from = round * options.logitRows();
            int count = Math.min(options.logitRows(), rows - from);
            began(Phase.LOGITS);
            Tensor logits = decoder.logits(context, m.logitWorkspace(), states, from, options.logitRows());
            ended(Phase.LOGITS);
            if (first && count > 0) {
                output.chooseBest(ops, logits);
                take(m, plan, logits, from, count);
            }
        }
        if (rows == 0) {
            device.synchronize();
            return;
        }
        shareIds(m, plan, false);
    }

    /** Whether this rank's choices are those of its group. */
    private boolean choosesFirst() {
        return communicators.attention().communicator().rank() == 0;
    }

    private void take(RunnerMemory m, StepPlan plan, Tensor logits, int from, int count) {
        began(Phase.SAMPLE);
        m.output().take(plan, m.tables(), logits, from, count);
        ended(Phase.SAMPLE);
    }

    /**
     * Every rank learns rank 0's choices and keeps them.
     *
     * @param alike whether every rank has chosen by itself, from the same logits
     */
    private void shareIds(RunnerMemory m, StepPlan plan, boolean alike) {
        began(Phase.SAMPLE);
        int[] ids = m.output().nextIds();
        int sequences = plan.sequences();
        Communicator group = collectives.attention().communicator();
        if (group.size() > 1 && !alike) {
            Tensor shared = m.rowIndices().rowRange(0, sequences);
            if (group.rank() == 0) {
                MemorySegment.copy(ids, 0, m.staging(), ValueLayout.JAVA_INT, 0, sequences);
                device.toDevice(m.staging(), shared);
            }
            group.broadcast(shared, 0);
            device.toHost(shared, m.staging());
            MemorySegment.copy(m.staging(), ValueLayout.JAVA_INT, 0, ids, 0, sequences);
        }
        for (int b = 0; b < sequences; b++) {
            if (plan.samples()[b]) {
                m.tables().store(plan.rows()[b], plan.contextLength(b), ids[b]);
            }
        }
        m.streams().returnIds(plan, ids);
        ended(Phase.SAMPLE);
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

    private void began(Phase phase) {
        if (observer != null) {
            observer.phaseBegan(phase);
        }
    }

    private void ended(Phase phase) {
        if (observer != null) {
            observer.phaseEnded(phase);
        }
    }
}
