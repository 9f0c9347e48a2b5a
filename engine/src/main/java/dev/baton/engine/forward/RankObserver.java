package dev.baton.engine.forward;

import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.tensor.Ops;
import dev.baton.tensor.parallel.Communicator;

/**
 * Watches one rank: what records spans implements it. Every method is called on the rank's thread. Set and removed
 * between steps; a rank without observer pays one null check a phase.
 */
public interface RankObserver {
    /** Parts of a step, in the order in which they come; LOGITS and SAMPLE may alternate. */
    enum Phase {
        /** Tables and inputs are written. */
        PREPARE,
        /** Embedding and layers. */
        FORWARD,
        /** Final norm and output projection. */
        LOGITS,
        /** Log probabilities and choice of the next tokens, and telling them to the other ranks. */
        SAMPLE
    }

    /** Operators that the steps shall run through from now on; called once, when the observer is set. */
    Ops wrap(Ops ops);

    /** Collectives of one of the rank's groups likewise; called once a group of more than one rank. */
    Communicator wrap(RankCommunicators.Member group);

    /** A step begins. */
    void stepBegan(StepPlan plan);

    /** It has ended; not called for a step that failed. */
    void stepEnded(StepPlan plan, StepResult result);

    /** A part of the step begins. */
    default void phaseBegan(Phase phase) {}

    /** And ends. */
    default void phaseEnded(Phase phase) {}
}
