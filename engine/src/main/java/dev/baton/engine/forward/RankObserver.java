package dev.baton.engine.forward;

import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.Transfer;
import java.util.Locale;

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
        SAMPLE;

        private final String title = "rank." + name().toLowerCase(Locale.ROOT);

        /** Its name in traces. */
        public String title() {
            return title;
        }
    }

    /** The rank's device; called once, when the observer is set, before anything else. */
    default void attach(Device device) {}

    /**
     * Whether steps run operator by operator and each is waited for, because the operators are what is watched. Otherwise
     * they run as without an observer: as graphs where they can, the next one queued while one runs. Asked once.
     */
    default boolean watchesOperators() {
        return true;
    }

    /** Operators that the steps shall run through from now on; called once, when the observer is set. */
    default Ops wrap(Ops ops) {
        return ops;
    }

    /** Collectives of one of the rank's groups likewise; called once a group of more than one rank. */
    default Communicator wrap(RankCommunicators.Member group) {
        return group.communicator();
    }

    /** What pipeline stages tell each other. */
    enum Message {
        /** A step's residual stream leaves for the next stage. */
        STREAM_OUT,
        /** It arrives from the stage before. */
        STREAM_IN,
        /** The chosen ids leave the last stage for the first. */
        IDS_OUT,
        /** They arrive there. */
        IDS_IN
    }

    /**
     * The rank's thread has sent or received a message, or has waited for one that was under way.
     *
     * @param step that the message belongs to: an earlier one where the thread has waited for a send to end
     * @param stage the other end
     * @param startNanos when the thread turned to it
     * @param endNanos when it turned away
     * @param moved the message's own times, which may lie outside of these: it travels while the stages compute
     */
    default void exchanged(
            Message message, long step, int stage, long startNanos, long endNanos, Transfer.Moved moved) {}

    /** A step begins. */
    void stepBegan(StepPlan plan);

    /**
     * The host has done its part; not called for a step that failed.
     *
     * @param step ended where this {@link #watchesOperators}; otherwise the device may still be at work
     */
    void stepEnded(StepPlan plan, PendingStep step);

    /** A part of the step begins. */
    default void phaseBegan(Phase phase) {}

    /** And ends. */
    default void phaseEnded(Phase phase) {}
}
