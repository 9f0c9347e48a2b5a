package dev.baton.engine.parallel;

import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.balance.ExpertStatistics;
import dev.baton.engine.balance.RankExperts;
import dev.baton.engine.forward.LayerListener;
import dev.baton.engine.forward.LogitsListener;
import dev.baton.engine.forward.ModelRunner;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.StepExecutor;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.model.config.ModelConfig;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The ranks that serve one scheduler: a whole replica, or one attention group of a replica. The first rank (of a pipeline
 * the first rank of the last stage) chooses the tokens and tells them to the others. A step of one of several attention
 * groups is part of a common step of all, see {@link LockStep}. Ranks are numbered stage by stage.
 */
public final class RankGroup implements StepExecutor {
    private final ModelConfig config;
    private final ParallelShape shape;
    private final Ranks ranks;
    /** Null for a replica of one group. */
    private final @Nullable LockStep lockStep;

    private final int group;
    /** Their numbers in the replica. */
    private final int[] members;

    private final int[] onlyGroup;

    RankGroup(ModelConfig config, ParallelShape shape, Ranks ranks, @Nullable LockStep lockStep, int group) {
        this.config = config;
        this.shape = shape;
        this.ranks = ranks;
        this.lockStep = lockStep;
        this.group = group;
        this.members = shape.ranksOf(group);
        this.onlyGroup = new int[ranks.size()];
    }

    /** Runs once every rank has ended (to close what they share). */
    RankGroup whenClosed(Runnable action) {
        ranks.whenClosed(action);
        return this;
    }

    /** Number of ranks, those of other JVMs included. */
    public int size() {
        return members.length;
    }

    /** How many of them live in this JVM. */
    public int ranksHere() {
        return ranks.here(members);
    }

    /** Number of the group's first rank in the replica. */
    public int firstRank() {
        return members[0];
    }

    /** Number of a rank of this group in the replica. */
    public int replicaRank(int rank) {
        return members[rank];
    }

    /** Pipeline stages; each has as many ranks of the group. */
    public int stages() {
        return shape.pipelineParallel();
    }

    /** How the server is laid out. */
    public ParallelShape shape() {
        return shape;
    }

    /** The model's configuration. */
    public ModelConfig config() {
        return config;
    }

    /**
     * The runner of a rank that lives here: its cache and sizes may be read from any thread; everything else belongs to the rank's thread
     * ({@link #runBetweenSteps}).
     *
     * @param rank of this group
     */
    public ModelRunner runner(int rank) {
        return ranks.runner(members[rank]);
    }

    /** Whether a rank of this group lives in this JVM. */
    public boolean isHere(int rank) {
        return ranks.here(members[rank]) > 0;
    }

    /** What a rank of this group holds, wherever it lives. */
    public Layout layout(int rank) {
        Layout layout = shape.layout(members[rank]);
        return layout.withStage(
                layout.stage().withPartition(ranks.anyRunner().layout().stage().partition()));
    }

    /** Counts of the replica's passes, as far as this JVM knows them; null for a model without experts. */
    public @Nullable ExpertStatistics expertStatistics() {
        RankExperts experts = ranks.anyRunner().balance();
        return experts == null ? null : experts.balance().statistics();
    }

    @Override
    public int capacityTokens() {
        return ranks.anyRunner().cache().capacityTokens();
    }

    @Override
    public int maxRows() {
        return ranks.anyRunner().options().maxRows();
    }

    @Override
    public int contextTokens() {
        return ranks.anyRunner().options().contextTokens();
    }

    /** Most tokens of one step. */
    public int maxStepTokens() {
        return ranks.anyRunner().options().maxStepTokens();
    }

    /** Bytes of one rank's weights. */
    public long weightBytes() {
        return ranks.anyRunner().weightBytes();
    }

    /** Bytes of one rank's KV cache. */
    public long cacheBytes() {
        return ranks.anyRunner().cache().bytes();
    }

    @Override
    public CompletableFuture<StepResult> run(StepPlan plan) {
        if (lockStep != null) {
            return lockStep.offer(group, plan);
        }
        StepShape single = ModelRunner.shapeOfOneGroup(plan);
        return ranks.run(List.of(plan), single, onlyGroup).getFirst();
    }

    /**
     * Runs a common step that another JVM has decided, on the ranks of the replica that live here.
     *
     * @param plans one for each attention group
     */
    public void follow(List<StepPlan> plans, StepShape step) {
        if (lockStep != null) {
            lockStep.follow(plans, step);
        } else {
            ranks.run(plans, step, onlyGroup);
        }
    }

    /** Runs an action between two steps: what it queues is queued between the same steps on all JVMs. */
    public void inOrder(Runnable action) {
        ranks.inOrder(action);
    }

    /** Whether the rank that chooses the group's tokens lives here. */
    public boolean choosesHere() {
        return ranks.here(members[choosing()]) > 0;
    }

    /** The first rank of the last stage. */
    private int choosing() {
        return size() - size() / stages();
    }

    @Override
    public void nothingToRun() {
        if (lockStep != null) {
            lockStep.nothing(group);
        }
    }

    @Override
    public boolean waitsForOthers() {
        return lockStep != null && lockStep.hasOffer(group);
    }

    @Override
    public CompletableFuture<Void> runBetweenSteps(RankTask task) {
        return ranks.onRanks(members, task);
    }

    /**
     * Runs a task on every rank of the replica between two steps, the same two on all: what the ranks do together.
     *
     * @param task is given the number of the rank in the replica
     */
    public CompletableFuture<Void> runOnReplica(RankTask task) {
        return ranks.onEveryRank(task);
    }

    /** A rank of the replica, as {@link #runner} for tasks of {@link #runOnReplica}. */
    public ModelRunner replicaRunner(int rank) {
        return ranks.runner(rank);
    }

    /** Sets (or with null removes) each rank's observer before the next step. */
    public CompletableFuture<Void> setObservers(@Nullable IntFunction<RankObserver> observers) {
        return runBetweenSteps(rank -> runner(rank).observe(observers == null ? null : observers.apply(rank)));
    }

    /** Sets each rank's layer listener before the next step; null removes them. */
    public CompletableFuture<Void> setLayerListeners(@Nullable IntFunction<LayerListener> listeners) {
        return runBetweenSteps(
                rank -> runner(rank).listenToLayers(listeners == null ? LayerListener.NONE : listeners.apply(rank)));
    }

    /** Sets who sees the choosing rank's logits from the next step on; null removes it. */
    public CompletableFuture<Void> setLogitsListener(@Nullable LogitsListener listener) {
        int choosing = choosing();
        return runBetweenSteps(rank -> {
            if (rank == choosing) {
                runner(rank).listenToLogits(listener);
            }
        });
    }

    /** True when no rank runs any more: what they read may be given back. */
    public boolean hasEnded() {
        return ranks.hasEnded();
    }

    /**
     * Ends the ranks after what is queued, once every group of the replica is closed; a rank that does not end within
     * half a minute is left behind as a daemon.
     */
    @Override
    public void close() {
        if (lockStep == null || lockStep.close(group)) {
            ranks.close();
        }
    }
}
