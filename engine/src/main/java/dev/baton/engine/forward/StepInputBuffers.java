package dev.baton.engine.forward;

import dev.baton.engine.arch.StepInputs;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The device memory that carries a step's integers, filled by one copy. Where each array begins depends on the numbers
 * of tokens and sequences only, so that steps of equal numbers find them at equal addresses. One thread; the host memory
 * of a step is reused by the next one, after the device has taken it.
 */
final class StepInputBuffers {
    private final Device device;
    private final boolean hostMemory;
    /** I32: ids, positions, slots and table indices [T] each, query starts [B + 1], context lengths and rows [B] each. */
    private final Tensor packed;

    private final MemorySegment staging;
    private int used;

    StepInputBuffers(Device device, int maxTokens, int maxRows) {
        this.device = device;
        this.hostMemory = device.info().kind().equals("cpu");
        int most = 4 * Math.max(maxTokens, maxRows) + 3 * maxRows + 1;
        this.packed = device.allocate(DType.I32, most);
        this.staging = device.hostBuffer(4L * most);
    }

    /**
     * Fills the buffers; the tables already hold the plan's ids.
     *
     * @param padded sequences of the step: those behind the plan's own are of one token without meaning. More than the
     *     plan has only in a decode step
     * @param contextBound context that the step's operators must be able to take, at least the longest of the plan
     */
    StepInputs fill(StepPlan plan, StepTables tables, int padded, int contextBound) {
        int sequences = plan.sequences();
        int padding = padded - sequences;
        int tokens = plan.tokens() + padding;
        int maxQuery = 0;
        boolean whole = plan.mode() == ForwardMode.EXTEND;
        used = 0;
        for (int b = 0; b < sequences; b++) {
            int[] pool = tables.tokens(plan.rows()[b]);
            for (int i = 0; i < plan.count(b); i++) {
                put(pool[plan.starts()[b] + i]);
            }
            maxQuery = Math.max(maxQuery, plan.count(b));
            whole &= plan.starts()[b] == 0;
        }
        Tensor ids = end(padding, 0, tokens);
        for (int b = 0; b < sequences; b++) {
            for (int i = 0; i < plan.count(b); i++) {
                put(plan.starts()[b] + i);
            }
        }
        Tensor positions = end(padding, 0, tokens);
        for (int i = 0; i < plan.tokens(); i++) {
            put(plan.slots()[i]);
        }
        Tensor slots = end(padding, 0, tokens);
        for (int b = 0; b < sequences; b++) {
            for (int i = 0; i < plan.count(b); i++) {
                put(tables.index(plan.rows()[b], plan.starts()[b] + i));
            }
        }
        Tensor tableIndices = end(padding, tables.index(tables.paddingRow(), 0), tokens);
        for (int b = 0; b <= sequences; b++) {
            put(plan.tokenStart()[b]);
        }
        for (int i = 1; i <= padding; i++) {
            put(plan.tokens() + i);
        }
        Tensor starts = end(0, 0, padded + 1);
        for (int b = 0; b < sequences; b++) {
            put(plan.contextLength(b));
        }
        Tensor lengths = end(padding, 1, padded);
        for (int b = 0; b < sequences; b++) {
            put(plan.rows()[b]);
        }
        Tensor rows = end(padding, tables.paddingRow(), padded);
        device.toDevice(staging, packed.rowRange(0, used));
        AttentionBatch batch = new AttentionBatch(
                padded, starts, lengths, rows, tables.slotTable(), Math.max(maxQuery, 1), contextBound);
        return new StepInputs(tokens, ids, positions, slots, tableIndices, batch, plan.tokenStart(), whole);
    }

    /**
     * Writes the new tokens' slots into the table, where the host has not done it. Slots are moved as if they were
     * floats: rows of one element, bits unchanged.
     */
    void storeSlots(Ops ops, StepInputs inputs, Tensor slotTable) {
        if (!hostMemory) {
            ops.scatterRows(asFloats(inputs.slots()), inputs.tableIndices(), asFloats(slotTable));
        }
    }

    private static Tensor asFloats(Tensor ints) {
        return Tensor.dense(ints.memory(), DType.F32, ints.elements(), 1);
    }

    private void put(int value) {
        staging.setAtIndex(ValueLayout.JAVA_INT, used++, value);
    }

    /** Ends an array with {@code padding} further values; the array as the device sees it. */
    private Tensor end(int padding, int value, int count) {
        for (int i = 0; i < padding; i++) {
            put(value);
        }
        return packed.rowRange(used - count, count);
    }
}
