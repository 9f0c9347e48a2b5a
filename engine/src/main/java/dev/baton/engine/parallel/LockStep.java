package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.StepShape;
import dev.baton.engine.forward.LogitRows;
import dev.baton.engine.overlap.TwoBatchSplit;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Brings the attention groups of one replica to common steps, because they share the rest of the model. Each group's
 * scheduler offers its plans as if it were alone. A common step begins when every group has offered a plan or has said
 * that it has nothing to run; a group without a plan takes part with an empty one. A group that has done neither is
 * planning or waits for the results of a common step, so its answer comes: nobody waits for a clock, and nobody starves.
 * A group that sleeps ({@code /slow_down}) holds all, as in SGLang.
 */
final class LockStep {
    private final Ranks ranks;
    private final int[] groupOf;
    private final List<ArrayDeque<Offer>> offers = new ArrayList<>();
    private final boolean[] nothing;
    private final boolean[] closed;
    private long steps;

    private record Offer(StepPlan plan, CompletableFuture<StepResult> future) {}

    /** @param groupOf attention group of each rank */
    LockStep(Ranks ranks, int[] groupOf, int groups) {
        this.ranks = ranks;
        this.groupOf = groupOf.clone();
        this.nothing = new boolean[groups];
        this.closed = new boolean[groups];
        for (int g = 0; g < groups; g++) {
            offers.add(new ArrayDeque<>());
        }
    }

    /** Runs a common step that was put together elsewhere. */
    void follow(List<StepPlan> plans, StepShape shape) {
        ranks.run(plans, shape, groupOf);
    }

    synchronized CompletableFuture<StepResult> offer(int group, StepPlan plan) {
        CompletableFuture<StepResult> future = new CompletableFuture<>();
        if (closed[group]) {
            future.completeExceptionally(ranks.unavailable());
            return future;
        }
        nothing[group] = false;
        offers.get(group).addLast(new Offer(plan, future));
        begin();
        return future;
    }

    /** The group has no plan and waits for no result. */
    synchronized void nothing(int group) {
        if (!nothing[group]) {
            nothing[group] = true;
            begin();
        }
    }

    /** Whether a plan of the group has not begun, because other groups have not answered. */
    synchronized boolean hasOffer(int group) {
        return !offers.get(group).isEmpty();
    }

    /**
     * The group takes no part any more but with empty plans.
     *
     * @return true when it was the last one
     */
    synchronized boolean close(int group) {
        closed[group] = true;
        EngineException gone = ranks.unavailable();
        offers.get(group).forEach(offer -> offer.future.completeExceptionally(gone));
        offers.get(group).clear();
        begin();
        for (boolean each : closed) {
            if (!each) {
                return false;
            }
        }
        return true;
    }

    /** Begins every common step that can begin. */
    private void begin() {
        while (ready()) {
            steps++;
            int groups = offers.size();
            List<StepPlan> plans = new ArrayList<>();
            List<@Nullable Offer> taken = new ArrayList<>();
            int[] tokens = new int[groups];
            int[] wanted = new int[groups];
            boolean prefills = false;
            for (int g = 0; g < groups; g++) {
                Offer offer = offers.get(g).pollFirst();
                StepPlan plan = offer == null ? StepPlan.idle() : offer.plan;
                taken.add(offer);
                plans.add(plan.numbered(steps));
                tokens[g] = plan.tokens();
                wanted[g] = LogitRows.countOf(plan);
                prefills |= plan.mode() == ForwardMode.EXTEND;
            }
            StepShape shape = new StepShape(tokens, wanted, prefills);
            List<CompletableFuture<StepResult>> results =
                    ranks.run(plans, TwoBatchSplit.possible(plans) ? shape.inHalves() : shape, groupOf);
            for (int g = 0; g < groups; g++) {
                Offer offer = taken.get(g);
                if (offer != null) {
                    hand(results.get(g), offer.future);
                }
            }
        }
    }

    private static void hand(CompletableFuture<StepResult> from, CompletableFuture<StepResult> to) {
        from.whenComplete((result, error) -> {
            if (error != null) {
                to.completeExceptionally(error);
            } else {
                to.complete(result);
            }
        });
    }

    private boolean ready() {
        boolean any = false;
        for (int g = 0; g < offers.size(); g++) {
            boolean has = !offers.get(g).isEmpty();
            if (!has && !nothing[g] && !closed[g]) {
                return false;
            }
            any |= has;
        }
        return any;
    }
}
