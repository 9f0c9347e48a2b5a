package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * A rank's two tables, one row a live request: position to cache slot (on the device, where attention reads it) and
 * position to token id (on the host).
 */
final class StepTables {
    private final Device device;
    private final boolean hostMemory;
    private final int rows;
    private final int contextTokens;
    private final int capacityTokens;
    /** I32 [rows + 1, contextTokens]; the last row belongs to padding sequences and stays zero. */
    private final Tensor slotTable;
    /** [rows][contextTokens], a row made when it is first used. */
    private final int[] @Nullable [] tokens;

    StepTables(Device device, int rows, int contextTokens, int capacityTokens) {
        this.device = device;
        this.hostMemory = device.info().kind().equals("cpu");
        this.rows = rows;
        this.contextTokens = contextTokens;
        this.capacityTokens = capacityTokens;
        this.slotTable = device.allocate(DType.I32, rows + 1L, contextTokens);
        this.tokens = new int[rows][];
    }

    static long bytes(int rows, int contextTokens) {
        return 4L * (rows + 1L) * contextTokens;
    }

    Tensor slotTable() {
        return slotTable;
    }

    /** Token ids of a row. */
    int[] tokens(int row) {
        int[] ids = tokens[row];
        if (ids == null) {
            ids = new int[contextTokens];
            tokens[row] = ids;
        }
        return ids;
    }

    /** The row of padding sequences. */
    int paddingRow() {
        return rows;
    }

    /** Where the slot of this row's position lies in the table, in elements. */
    int index(int row, int position) {
        return row * contextTokens + position;
    }

    /**
     * Writes the prefixes of entering sequences, then the new tokens' ids and, where the table lies in host memory,
     * their slots; elsewhere those go with the step's inputs ({@link StepInputBuffers}).
     */
    void apply(StepPlan plan) {
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            requireRow(plan, prefix.row());
            requirePositions(plan, prefix.row(), 0, Math.max(prefix.slots().length, prefix.ids().length));
            requireSlots(prefix.slots(), 0, prefix.slots().length);
            writeSlots(prefix.row(), 0, prefix.slots(), 0, prefix.slots().length);
            System.arraycopy(prefix.ids(), 0, tokens(prefix.row()), 0, prefix.ids().length);
        }
        for (int b = 0; b < plan.sequences(); b++) {
            int row = plan.rows()[b];
            int first = plan.tokenStart()[b];
            int start = plan.starts()[b];
            int count = plan.count(b);
            requireRow(plan, row);
            requirePositions(plan, row, start, count);
            requireSlots(plan.slots(), first, count);
            if (hostMemory) {
                writeSlots(row, start, plan.slots(), first, count);
            }
            int[] ids = tokens(row);
            for (int i = 0; i < count; i++) {
                int id = plan.inputIds()[first + i];
                if (id >= 0) {
                    ids[start + i] = id;
                }
            }
        }
    }

    /** Stores a sampled token; one that stands behind the context's end is never read and is dropped. */
    void store(int row, int position, int id) {
        if (position < contextTokens) {
            tokens(row)[position] = id;
        }
    }

    private void requireSlots(int[] slots, int from, int count) {
        for (int i = from; i < from + count; i++) {
            if (slots[i] < 1 || slots[i] > capacityTokens) {
                throw new EngineException(
                        EngineException.Code.INTERNAL,
                        "cache slot " + slots[i] + " lies outside 1 to " + capacityTokens);
            }
        }
    }

    private void writeSlots(int row, int position, int[] slots, int from, int count) {
        long at = index(row, position) * 4L;
        if (hostMemory) {
            MemorySegment.copy(slots, from, slotTable.memory(), ValueLayout.JAVA_INT, at, count);
            return;
        }
        if (count == 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment staged = arena.allocate(4L * count, 4);
            MemorySegment.copy(slots, from, staged, ValueLayout.JAVA_INT, 0, count);
            device.toDevice(staged, Tensor.dense(slotTable.memory().asSlice(at, 4L * count), DType.I32, count));
            device.synchronize();
        }
    }

    private void requireRow(StepPlan plan, int row) {
        if (row < 0 || row >= rows) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "step " + plan.step() + " names row " + row + " of a table of " + rows + " rows");
        }
    }

    private void requirePositions(StepPlan plan, int row, int start, int count) {
        if (start < 0 || start + count > contextTokens) {
            throw new EngineException(
                    EngineException.Code.INTERNAL,
                    "step " + plan.step() + " writes positions " + start + " to " + (start + count - 1) + " of row "
                            + row + ", a row has " + contextTokens);
        }
    }
}
