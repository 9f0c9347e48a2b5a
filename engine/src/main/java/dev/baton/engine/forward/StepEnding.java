package dev.baton.engine.forward;

import dev.baton.engine.arch.Decoder;
import dev.baton.engine.arch.ForwardContext;
import dev.baton.engine.forward.RankObserver.Phase;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** How a rank's step ends: from the last layer's states to chosen tokens that every rank of the group knows. One thread. */
final class StepEnding {
    private final Decoder decoder;
    private final Device device;
    private final int logitRows;

    /** @param logitRows rows of logits computed at once */
    StepEnding(Decoder decoder, Device device, int logitRows) {
        this.decoder = decoder;
        this.device = device;
        this.logitRows = logitRows;
    }

    /**
     * Logits and choices, a slice of rows at a time; then every rank learns the chosen ids from rank 0.
     *
     * @param states F32 [rows, hidden]
     */
    void operators(
            RunnerMemory m,
            StepPlan plan,
            ForwardContext context,
            Tensor states,
            StepForm form,
            StepForm.Choices choices,
            Watch watch) {
        int rows = m.output().rows().count();
        boolean first = choosesFirst(context);
        int rounds = decoder.logitRounds(context.shape(), rows, logitRows);
        for (int round = 0; round < rounds; round++) {
            int from = round * logitRows;
            int count = Math.min(logitRows, rows - from);
            watch.began(Phase.LOGITS);
            Tensor logits = decoder.logits(context, m.logitWorkspace(), states, from, logitRows);
            watch.ended(Phase.LOGITS);
            if (first && count > 0) {
                m.choices().choose(context.ops(), logits, choices, form.choosesOnDevice() ? from : 0);
                if (!form.choosesOnDevice()) {
                    take(m, plan, logits, from, count, watch);
                }
            }
        }
        if (form.choosesOnDevice()) {
            return;
        }
        if (rows == 0) {
            device.synchronize();
            return;
        }
        shareIds(m, plan, context, false, watch);
    }

    /** Whether this rank's choices are those of its group. */
    private static boolean choosesFirst(ForwardContext context) {
        return context.communicators().attention().communicator().rank() == 0;
    }

    /** The same behind a graph, which has made the logits and found the largest ones. */
    void recorded(RunnerMemory m, StepPlan plan, ForwardContext context, StepForm form, Watch watch) {
        Tensor logits = m.logitWorkspace().rows(decoder.logitsBuffer(), form.padded());
        boolean alike = m.output().choosesAlike(plan);
        if (choosesFirst(context) || alike) {
            take(m, plan, logits, 0, plan.sequences(), watch);
        }
        shareIds(m, plan, context, alike, watch);
    }

    /** Behind a step whose tokens the device chooses: the host learns them later, or now if somebody watches operators. */
    PendingStep leave(RunnerMemory m, StepPlan plan, long startNanos, Watch watch) {
        watch.began(Phase.SAMPLE);
        PendingStep step = m.choices().leave(plan, m.output().rows(), m.inputs().taken(), startNanos);
        if (watch.operators()) {
            step.await();
        }
        watch.ended(Phase.SAMPLE);
        return step;
    }

    private static void take(RunnerMemory m, StepPlan plan, Tensor logits, int from, int count, Watch watch) {
        watch.began(Phase.SAMPLE);
        m.output().take(plan, m.tables(), logits, from, count);
        watch.ended(Phase.SAMPLE);
    }

    /**
     * Every rank learns rank 0's choices and keeps them.
     *
     * @param alike whether every rank has chosen by itself, from the same logits
     */
    private void shareIds(RunnerMemory m, StepPlan plan, ForwardContext context, boolean alike, Watch watch) {
        watch.began(Phase.SAMPLE);
        int[] ids = m.output().nextIds();
        int sequences = plan.sequences();
        Communicator group = context.communicators().attention().communicator();
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
        watch.ended(Phase.SAMPLE);
    }
}
