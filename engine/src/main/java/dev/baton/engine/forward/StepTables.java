package dev.baton.engine.forward;

import dev.baton.engine.EngineException;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A rank's two tables, one row a live request: position to cache slot (on the device, where attention reads it) and
 * position to token id (on the host; on an asynchronous device there as well, where a step leaves what it chose for the
 * next one).
 */
final class StepTables {
    /** Stands for an id that the host does not know yet. */
    static final int ON_DEVICE = -1;

    private final boolean hostMemory;
    private final int rows;
    private final int contextTokens;
    private final int capacityTokens;
    /** I32 [rows + 1, contextTokens]; the last row belongs to padding sequences and stays zero. */
    private final Tensor slotTable;
    /** I32 [rows + 1, contextTokens]: token ids on an asynchronous device, else null. */
    private final @Nullable Tensor tokenTable;
    /** Slots and ids of entering prefixes on their way to such a device. */
    private final @Nullable PrefixStaging prefixes;
    /** [rows][contextTokens], a row made when it is first used. An id that only the device knows so far is {@link #ON_DEVICE}. */
    private final int[] @Nullable [] tokens;

    StepTables(Device device, int rows, int contextTokens, int capacityTokens) {
        boolean late = device.isAsynchronous();
        this.hostMemory = !late;
        this.rows = rows;
        this.contextTokens = contextTokens;
        this.capacityTokens = capacityTokens;
        this.slotTable = device.allocate(DType.I32, rows + 1L, contextTokens);
        this.tokenTable = late ? device.allocate(DType.I32, rows + 1L, contextTokens) : null;
        this.prefixes = late ? new PrefixStaging(device, contextTokens) : null;
        this.tokens = new int[rows][];
    }

    static long bytes(Device device, int rows, int contextTokens) {
        return (device.isAsynchronous() ? 8L : 4L) * (rows + 1L) * contextTokens;
    }

    Tensor slotTable() {
        return slotTable;
    }

    /** Token ids on an asynchronous device. */
    Tensor tokenTable() {
        return Objects.requireNonNull(tokenTable, "no asynchronous device");
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

    /** The place behind a row's position; one of the padding row where the row ends. */
    int placeBehind(int row, int length) {
        return length < contextTokens ? index(row, length) : index(rows, 0);
    }

    /**
     * Writes the prefixes of entering sequences, then the new tokens' ids and, where the table lies in host memory,
     * their slots; elsewhere those go with the step's inputs ({@link StepInputBuffers}).
     */
    void apply(StepPlan plan) {
        if (prefixes != null) {
            prefixes.nextStep();
        }
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            requireRow(plan, prefix.row());
            requirePositions(plan, prefix.row(), 0, Math.max(prefix.slots().length, prefix.ids().length));
            requireSlots(prefix.slots(), 0, prefix.slots().length);
            writePrefix(prefix);
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

    private void writePrefix(StepPlan.Prefix prefix) {
        int row = prefix.row();
        if (prefixes == null) {
            writeSlots(row, 0, prefix.slots(), 0, prefix.slots().length);
        } else {
            prefixes.copy(prefix.slots(), slotTable, index(row, 0));
            prefixes.copy(prefix.ids(), tokenTable(), index(row, 0));
        }
    }

    private void writeSlots(int row, int position, int[] slots, int from, int count) {
        MemorySegment.copy(slots, from, slotTable.memory(), ValueLayout.JAVA_INT, index(row, position) * 4L, count);
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
