package dev.baton.engine.forward;

import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * How a rank runs a step.
 *
 * @param padded sequences it runs with: those behind the plan's own are of one token without meaning. More than the plan has
 *     only in a recorded step
 * @param contextBound context that its operators must be able to take, at least the longest of the plan
 * @param recorded whether it is a graph
 * @param choosesOnDevice whether the device chooses every token, so that the host need not see the logits
 * @param sampled whether one of those is something else than the largest logit as the model gave it
 */
record StepForm(int padded, int contextBound, boolean recorded, boolean choosesOnDevice, boolean sampled) {
    /** A step that runs as it is planned, by operators. */
    static StepForm plain(StepPlan plan) {
        return new StepForm(plan.sequences(), longestContext(plan), false, false, false);
    }

    /**
     * The form of a step whose wanted rows the output stage knows.
     *
     * @param mayRecord whether nobody watches the step's operators or takes part in them
     * @param mayChoose whether the device can choose, and nobody waits for its choices but this rank
     */
    static StepForm of(StepPlan plan, RunnerMemory m, boolean mayRecord, boolean mayChoose) {
        int sequences = plan.sequences();
        boolean recorded = mayRecord
                && plan.mode() == ForwardMode.DECODE
                && m.graphs().records(sequences)
                && plan.tokens() == sequences
                && m.output().rows().count() == sequences;
        boolean choosesOnDevice = mayChoose && m.output().fitsDevice(plan);
        int longest = longestContext(plan);
        return new StepForm(
                recorded ? m.graphs().padded(sequences) : sequences,
                recorded ? m.graphs().contextBound(longest) : longest,
                recorded,
                choosesOnDevice,
                choosesOnDevice && m.output().samples(plan));
    }

    private static int longestContext(StepPlan plan) {
        int longest = 0;
        for (int b = 0; b < plan.sequences(); b++) {
            longest = Math.max(longest, plan.contextLength(b));
        }
        return longest;
    }

    /** Whether what the device chooses goes to its token table. */
    boolean keepsChoices() {
        return recorded || choosesOnDevice;
    }

    /**
     * What the end of a step needs of its inputs, a row each whose logits are wanted.
     *
     * @param wanted I32 [S], rows of the step
     * @param places I32 [S], where the chosen ids go in the token table; null when they do not go there
     * @param sampled how they are chosen; null for the largest logits
     */
    record Choices(
            Tensor wanted,
            @Nullable Tensor places,
            @Nullable SampledRows sampled) {}
}
