package dev.baton.engine.forward;

import dev.baton.engine.arch.ForwardContext;
import dev.baton.engine.arch.StepInputs;
import dev.baton.engine.arch.TwoHalves;
import dev.baton.engine.arch.Workspace;
import dev.baton.engine.overlap.TwoBatchSplit;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Supplier;

/** What a step needs besides when it is computed in two halves: inputs and a workspace of each. One thread. */
final class StepHalves {
    private final Device device;
    private final double threshold;
    private final StepInputBuffers firstInputs;
    private final StepInputBuffers secondInputs;
    private final Workspace first;
    private final Workspace second;

    /**
     * @param threshold see {@link TwoBatchSplit#of}
     * @param workspaces makes one as large as a whole step's
     */
    StepHalves(Device device, RunnerOptions options, double threshold, Supplier<Workspace> workspaces) {
        this.device = device;
        this.threshold = threshold;
        this.firstInputs = new StepInputBuffers(device, options.maxStepTokens(), options.maxRows(), null);
        this.secondInputs = new StepInputBuffers(device, options.maxStepTokens(), options.maxRows(), null);
        this.first = workspaces.get();
        this.second = workspaces.get();
    }

    /**
     * Cuts a step whose ids stand in the tables.
     *
     * @param rows whose logits are wanted
     * @param wanted I32 [rows], to be filled: rows of the first half, then rows of the second, counted from its first
     * @param staging host memory of as many
     */
    TwoHalves of(
            StepPlan plan,
            ForwardContext context,
            StepTables tables,
            LogitRows rows,
            Tensor wanted,
            MemorySegment staging) {
        TwoBatchSplit split = TwoBatchSplit.of(plan, threshold);
        int cut = 0;
        for (int i = 0; i < rows.count(); i++) {
            boolean inFirst = rows.token(i) < split.first().tokens();
            cut += inFirst ? 1 : 0;
            staging.setAtIndex(
                    ValueLayout.JAVA_INT,
                    i,
                    rows.token(i) - (inFirst ? 0 : split.first().tokens()));
        }
        device.toDevice(staging, wanted);
        return new TwoHalves(
                context.of(first, fill(firstInputs, split.first(), tables)),
                context.of(second, fill(secondInputs, split.second(), tables)),
                wanted.rowRange(0, cut),
                wanted.rowRange(cut, rows.count() - cut));
    }

    private static StepInputs fill(StepInputBuffers inputs, StepPlan half, StepTables tables) {
        return inputs.fill(half, tables, new LogitRows(), StepForm.plain(half)).inputs();
    }
}
