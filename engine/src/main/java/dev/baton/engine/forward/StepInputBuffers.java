package dev.baton.engine.forward;

import dev.baton.engine.arch.StepInputs;
import dev.baton.engine.sample.DeviceSampling;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.DType;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import dev.baton.tensor.SampledRows;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * The device memory that carries a step's integers, filled at once: by a copy, or on an asynchronous device by the step's
 * first operator, {@link Ops#beginStep}, because the step before may still read what stands there. Where each array begins
 * depends on the numbers of tokens and sequences only, so that steps of equal numbers find them at equal addresses. One
 * thread.
 */
final class StepInputBuffers {
    private static final SamplingParams GREEDY = SamplingParams.greedy(1);

    private final Device device;
    /**
     * I32: ids, positions, slots and table indices [T] each, query starts [B + 1], context lengths and rows [B] each, wanted
     * rows and places of their choices [S] each, sampling parameters [S, COLUMNS].
     */
    private final Tensor packed;

    private final @Nullable StepExchange exchange;
    /** Host memory of the step: one row of the exchange, if there is one. */
    private MemorySegment staging;
    /** The row of the exchange that the next step takes. */
    private int turn;

    private int used;

    /** @param exchange of as many {@link #ints} a row; null where the device is not asynchronous */
    StepInputBuffers(Device device, int maxTokens, int maxRows, @Nullable StepExchange exchange) {
        this.device = device;
        this.exchange = exchange;
        int most = ints(maxTokens, maxRows);
        this.packed = device.allocate(DType.I32, most);
        this.staging = exchange == null
                ? device.hostBuffer(4L * most)
                : exchange.inputs().memory();
    }

    /** Most ints that a step brings. */
    static int ints(int maxTokens, int maxRows) {
        return 5 * Math.max(maxTokens, maxRows) + (4 + SampledRows.COLUMNS) * maxRows + 1;
    }

    /** What {@link #fill} made. */
    record Filled(StepInputs inputs, StepForm.Choices choices) {}

    /** Fills the buffers; the tables already hold the plan's ids. */
    Filled fill(StepPlan plan, StepTables tables, LogitRows wanted, StepForm form) {
        if (exchange != null) {
            staging = exchange.inputs().rowRange(turn, 1).memory();
        }
        used = 0;
        int padding = form.padded() - plan.sequences();
        int tokens = plan.tokens() + padding;
        Tensor ids = ids(plan, tables, padding);
        for (int b = 0; b < plan.sequences(); b++) {
            for (int i = 0; i < plan.count(b); i++) {
                put(plan.starts()[b] + i);
            }
        }
        Tensor positions = end(padding, 0, tokens);
        for (int i = 0; i < plan.tokens(); i++) {
            put(plan.slots()[i]);
        }
        Tensor slots = end(padding, 0, tokens);
        for (int b = 0; b < plan.sequences(); b++) {
            for (int i = 0; i < plan.count(b); i++) {
                put(tables.index(plan.rows()[b], plan.starts()[b] + i));
            }
        }
        Tensor tableIndices = end(padding, tables.index(tables.paddingRow(), 0), tokens);
        AttentionBatch batch = batch(plan, tables, form);
        StepForm.Choices choices = choices(plan, tables, wanted, form, padding);
        if (exchange == null) {
            device.toDevice(staging, packed.rowRange(0, used));
        } else if (tokens > 0) {
            turn = 1 - turn;
        }
        StepInputs inputs = new StepInputs(
                tokens, ids, positions, slots, tableIndices, batch, plan.tokenStart(), wholePrompts(plan));
        return new Filled(inputs, choices);
    }

    private Tensor ids(StepPlan plan, StepTables tables, int padding) {
        for (int b = 0; b < plan.sequences(); b++) {
            int[] pool = tables.tokens(plan.rows()[b]);
            for (int i = 0; i < plan.count(b); i++) {
                put(pool[plan.starts()[b] + i]);
            }
        }
        return end(padding, 0, plan.tokens() + padding);
    }

    private AttentionBatch batch(StepPlan plan, StepTables tables, StepForm form) {
        int sequences = plan.sequences();
        int padding = form.padded() - sequences;
        int maxQuery = 1;
        for (int b = 0; b <= sequences; b++) {
            put(plan.tokenStart()[b]);
        }
        for (int i = 1; i <= padding; i++) {
            put(plan.tokens() + i);
        }
        Tensor starts = end(0, 0, form.padded() + 1);
        for (int b = 0; b < sequences; b++) {
            put(plan.contextLength(b));
            maxQuery = Math.max(maxQuery, plan.count(b));
        }
        Tensor lengths = end(padding, 1, form.padded());
        for (int b = 0; b < sequences; b++) {
            put(plan.rows()[b]);
        }
        Tensor rows = end(padding, tables.paddingRow(), form.padded());
        return new AttentionBatch(
                form.padded(), starts, lengths, rows, tables.slotTable(), maxQuery, form.contextBound());
    }

    private static boolean wholePrompts(StepPlan plan) {
        boolean whole = plan.mode() == ForwardMode.EXTEND;
        for (int start : plan.starts()) {
            whole &= start == 0;
        }
        return whole;
    }

    private StepForm.Choices choices(StepPlan plan, StepTables tables, LogitRows wanted, StepForm form, int padding) {
        int count = wanted.count() + padding;
        for (int i = 0; i < wanted.count(); i++) {
            put(wanted.token(i));
        }
        for (int i = 0; i < padding; i++) {
            put(plan.tokens() + i);
        }
        Tensor rows = end(0, 0, count);
        if (!form.keepsChoices()) {
            return new StepForm.Choices(rows, null, null);
        }
        for (int i = 0; i < wanted.count(); i++) {
            int b = wanted.sequence(i);
            put(tables.placeBehind(plan.rows()[b], plan.contextLength(b)));
        }
        Tensor places = end(padding, tables.index(tables.paddingRow(), 0), count);
        SampledRows sampled = form.sampled() ? sampled(plan, tables, wanted, count) : null;
        return new StepForm.Choices(rows, places, sampled);
    }

    private SampledRows sampled(StepPlan plan, StepTables tables, LogitRows wanted, int count) {
        for (int i = 0; i < count; i++) {
            if (i < wanted.count()) {
                int b = wanted.sequence(i);
                DeviceSampling.write(
                        staging,
                        used,
                        plan.sampling()[b],
                        plan.seeds()[b],
                        plan.rows()[b],
                        plan.promptTokens()[b],
                        plan.contextLength(b));
            } else {
                DeviceSampling.write(staging, used, GREEDY, 0, tables.paddingRow(), 0, 0);
            }
            used += SampledRows.COLUMNS;
        }
        int ints = count * SampledRows.COLUMNS;
        Tensor parameters = packed.rowRange(used - ints, ints).reshape(count, SampledRows.COLUMNS);
        return new SampledRows(parameters, tables.tokenTable());
    }

    /** The first operator of a step with tokens: it takes the inputs and enters the tokens in the tables. */
    void begin(Ops ops, StepInputs inputs, StepTables tables) {
        if (exchange != null) {
            ops.beginStep(exchange, packed.rowRange(0, used), inputs.tokens(), tables.tokenTable(), tables.slotTable());
        }
    }

    /** The row of the exchange that the step filled last takes. */
    int taken() {
        return 1 - turn;
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
