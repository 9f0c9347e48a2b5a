package dev.baton.engine.forward;

import dev.baton.engine.arch.StepInputs;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The device tensors that carry a step's integers, at fixed addresses, and the host memory they are filled from. One
 * thread; the host memory of a step is reused by the next one, after the device has taken it.
 */
final class StepInputBuffers {
    private final Device device;
    /** I32 [maxTokens] each. */
    private final Tensor ids;

    private final Tensor positions;
    private final Tensor slots;
    /** I32 [maxRows + 1], [maxRows], [maxRows]. */
    private final Tensor queryStart;

    private final Tensor contextLengths;
    private final Tensor rows;
    /** I32 [max(maxTokens, maxRows) + 1] host memory of the same tensors, one after the other. */
    private final MemorySegment staging;

    StepInputBuffers(Device device, int maxTokens, int maxRows) {
        this.device = device;
        this.ids = device.allocate(DType.I32, maxTokens);
        this.positions = device.allocate(DType.I32, maxTokens);
        this.slots = device.allocate(DType.I32, maxTokens);
        this.queryStart = device.allocate(DType.I32, maxRows + 1L);
        this.contextLengths = device.allocate(DType.I32, maxRows);
        this.rows = device.allocate(DType.I32, maxRows);
        this.staging = Arena.ofAuto().allocate(4L * (Math.max(maxTokens, maxRows) + 1), 64);
    }

    /** Fills the buffers; the tables already hold the plan's ids. */
    StepInputs fill(StepPlan plan, StepTables tables) {
        int tokens = plan.tokens();
        int sequences = plan.sequences();
        int maxQuery = 0;
        int maxContext = 0;
        boolean whole = plan.mode() == ForwardMode.EXTEND;
        for (int b = 0; b < sequences; b++) {
            int first = plan.tokenStart()[b];
            int[] pool = tables.tokens(plan.rows()[b]);
            for (int i = 0; i < plan.count(b); i++) {
                put(first + i, pool[plan.starts()[b] + i]);
            }
            maxQuery = Math.max(maxQuery, plan.count(b));
            maxContext = Math.max(maxContext, plan.contextLength(b));
            whole &= plan.starts()[b] == 0;
        }
        Tensor idView = send(ids, tokens);
        for (int b = 0; b < sequences; b++) {
            for (int i = 0; i < plan.count(b); i++) {
                put(plan.tokenStart()[b] + i, plan.starts()[b] + i);
            }
        }
        Tensor positionView = send(positions, tokens);
        Tensor slotView = send(slots, plan.slots(), tokens);
        Tensor startView = send(queryStart, plan.tokenStart(), sequences + 1);
        for (int b = 0; b < sequences; b++) {
            put(b, plan.contextLength(b));
        }
        Tensor lengthView = send(contextLengths, sequences);
        Tensor rowView = send(rows, plan.rows(), sequences);
        AttentionBatch batch =
                new AttentionBatch(sequences, startView, lengthView, rowView, tables.slotTable(), maxQuery, maxContext);
        return new StepInputs(tokens, idView, positionView, slotView, batch, plan.tokenStart(), whole);
    }

    private void put(int index, int value) {
        staging.setAtIndex(ValueLayout.JAVA_INT, index, value);
    }

    private Tensor send(Tensor target, int[] values, int count) {
        MemorySegment.copy(values, 0, staging, ValueLayout.JAVA_INT, 0, count);
        return send(target, count);
    }

    private Tensor send(Tensor target, int count) {
        Tensor view = target.rowRange(0, count);
        device.toDevice(staging, view);
        return view;
    }
}
