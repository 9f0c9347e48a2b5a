package dev.baton.engine.forward;

import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.DeviceMark;
import dev.baton.tensor.Ops;
import dev.baton.tensor.StepExchange;
import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Tokens that an asynchronous device has chosen and the host learns of later. The next step is queued meanwhile: it finds
 * them in the device's token table, while the host's table says {@link StepTables#ON_DEVICE}. At most two steps are under way, one
 * a row of the {@link StepExchange}. One thread.
 */
final class LateChoices {
    private static final int MOST = 2;

    /**
     * @param turn row of the exchange in which the ids arrive
     * @param sequences whose token each of them is
     * @param dropped rows that have another owner by now: they do not take the ids that this step chose
     */
    private record Outstanding(PendingStep step, int turn, int[] sequences, long startNanos, BitSet dropped) {}

    private final Device device;
    private final StepTables tables;
    /** I32 [rows]: what a step chooses before it is copied. */
    private final Tensor chosen;

    private final @Nullable StepExchange exchange;
    /** One a row of the exchange. */
    private final DeviceMark[] marks;

    private final ArrayDeque<Outstanding> outstanding = new ArrayDeque<>();
    private long lastEndNanos = Long.MIN_VALUE;

    /**
     * @param rows most that a step chooses for, padding included
     * @param exchange with as many choices a row; null where the device is not asynchronous
     */
    LateChoices(Device device, StepTables tables, int rows, @Nullable StepExchange exchange) {
        this.device = device;
        this.tables = tables;
        this.chosen = device.allocate(DType.I32, rows);
        this.exchange = exchange;
        this.marks = new DeviceMark[exchange == null ? 0 : MOST];
        Arrays.setAll(marks, turn -> device.mark());
    }

    /** Chooses for rows {@code [from, from + slice rows)} of a step's wanted ones and leaves the ids in the token table. */
    void choose(Ops ops, Tensor slice, StepForm.Choices choices, int from) {
        Tensor ids = chosen.rowRange(from, slice.rows());
        if (choices.sampled() == null) {
            ops.argmax(slice, ids);
        } else {
            ops.sample(slice, choices.sampled().rows(from, slice.rows()), ids);
        }
        if (choices.places() != null && exchange != null) {
            Tensor places = choices.places().rowRange(from, slice.rows());
            ops.endStep(exchange, ids, places, from, tables.tokenTable());
        }
    }

    /** The first {@code count} chosen ids, now. */
    void read(int count, MemorySegment host) {
        device.toHost(chosen.rowRange(0, count), host);
    }

    /** Before a step that the host has a part in: learns what the steps before chose. */
    void collectAll() {
        while (!outstanding.isEmpty()) {
            collectOldest();
        }
    }

    /** Before a step of which the host learns later: leaves room for it. */
    void collectForNext() {
        while (outstanding.size() >= MOST) {
            collectOldest();
        }
    }

    /** Rows that enter with a plan have another owner than in the steps under way. */
    void entering(StepPlan plan) {
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            outstanding.forEach(step -> step.dropped().set(prefix.row()));
        }
    }

    /** Marks the end of a queued step, which chooses for each of {@code rows} and takes a turn of the exchange. */
    PendingStep leave(StepPlan plan, LogitRows rows, int turn, long startNanos) {
        int[] sequences = new int[rows.count()];
        for (int i = 0; i < sequences.length; i++) {
            sequences[i] = rows.sequence(i);
            tables.store(plan.rows()[sequences[i]], plan.contextLength(sequences[i]), StepTables.ON_DEVICE);
        }
        marks[turn].set();
        PendingStep step = new PendingStep(plan, this);
        outstanding.add(new Outstanding(step, turn, sequences, startNanos, new BitSet()));
        return step;
    }

    boolean passed(PendingStep step) {
        for (Outstanding one : outstanding) {
            if (!marks[one.turn()].passed()) {
                return false;
            }
            if (one.step() == step) {
                break;
            }
        }
        return true;
    }

    void collectOldest() {
        Outstanding oldest = outstanding.removeFirst();
        marks[oldest.turn()].await();
        MemorySegment told = Objects.requireNonNull(exchange)
                .choices()
                .rowRange(oldest.turn(), 1)
                .memory();
        StepPlan plan = oldest.step().plan();
        int[] ids = new int[plan.sequences()];
        Arrays.fill(ids, -1);
        for (int i = 0; i < oldest.sequences().length; i++) {
            int b = oldest.sequences()[i];
            ids[b] = told.getAtIndex(ValueLayout.JAVA_INT, i);
            if (!oldest.dropped().get(plan.rows()[b])) {
                tables.store(plan.rows()[b], plan.contextLength(b), ids[b]);
            }
        }
        // The device began it when it had ended the one before.
        long start = Math.max(oldest.startNanos(), lastEndNanos);
        lastEndNanos = System.nanoTime();
        oldest.step()
                .end(new StepResult(
                        plan.step(), ids, new TokenLogprob[ids.length], lists(ids.length), start, lastEndNanos));
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static List<TokenLogprob>[] lists(int length) {
        return new List[length];
    }
}
