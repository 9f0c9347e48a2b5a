package dev.baton.engine.parallel;

import dev.baton.engine.arch.StepShape;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * Which of a replica's ranks are threads of this JVM, and what ties them to the others. {@link #WHOLE} has them all.
 */
public interface RankShare {
    /** Every rank is here. */
    RankShare WHOLE = new RankShare() {};

    /** First rank that lives here. */
    default int first() {
        return 0;
    }

    /** Ranks that live here, one after the other. */
    default int count(int ranks) {
        return ranks;
    }

    /**
     * The smallest of all JVMs' numbers; waits for theirs.
     *
     * @param capacityTokens KV slots that the ranks of this JVM can have
     */
    default int agreeOnCapacity(int capacityTokens) {
        return capacityTokens;
    }

    /**
     * A step is about to be queued on the ranks of this JVM: the others must queue it next, too.
     *
     * @param plans one for each attention group
     */
    default void announce(List<StepPlan> plans, StepShape shape) {}

    /**
     * A rank of this JVM has chosen the tokens of a step.
     *
     * @param step counts the announced steps from 1
     */
    default void report(long step, int group, StepResult result) {}

    /** The result of a step whose tokens are chosen in another JVM. */
    default CompletableFuture<StepResult> resultOf(long step, int group) {
        return CompletableFuture.failedFuture(new IllegalStateException("every rank is here"));
    }

    /** A rank of this JVM has failed. */
    default void failed(Throwable cause) {}

    /** Called with what to do when ranks of another JVM have gone. */
    default void whenLost(Consumer<String> action) {}
}
