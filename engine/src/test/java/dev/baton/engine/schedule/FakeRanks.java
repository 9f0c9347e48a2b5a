package dev.baton.engine.schedule;

import dev.baton.engine.request.TokenLogprob;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** One rank with its tables and KV memory, executing plans with {@link FakeModel} and refusing plans that are wrong. */
final class FakeRanks {
    final FakeModel model;
    final int capacity;
    final int rows;
    final int context;
    final int[][] slotTable;
    final int[][] tokenPool;
    final long[] kv;
    private long lastStep;

    FakeRanks(FakeModel model, int capacity, int rows, int context) {
        this.model = model;
        this.capacity = capacity;
        this.rows = rows;
        this.context = context;
        this.slotTable = new int[rows][context];
        this.tokenPool = new int[rows][context + 1];
        this.kv = new long[capacity + 1];
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    StepResult execute(StepPlan plan) {
        check(plan);
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            System.arraycopy(prefix.slots(), 0, slotTable[prefix.row()], 0, prefix.slots().length);
            System.arraycopy(prefix.ids(), 0, tokenPool[prefix.row()], 0, prefix.ids().length);
        }
        int n = plan.sequences();
        for (int b = 0; b < n; b++) {
            int row = plan.rows()[b];
            for (int i = 0; i < plan.count(b); i++) {
                int at = plan.tokenStart()[b] + i;
                int position = plan.starts()[b] + i;
                slotTable[row][position] = plan.slots()[at];
                if (plan.inputIds()[at] >= 0) {
                    tokenPool[row][position] = plan.inputIds()[at];
                }
            }
        }
        int[] next = new int[n];
        // All KV of the step is computed from what stood before the step and from the sequence itself.
        for (int b = 0; b < n; b++) {
            int row = plan.rows()[b];
            int start = plan.starts()[b];
            long before = start == 0 ? 0 : kv[slotTable[row][start - 1]];
            for (int i = 0; i < plan.count(b); i++) {
                before = model.kv(before, tokenPool[row][start + i], start + i);
                kv[slotTable[row][start + i]] = before;
            }
        }
        for (int b = 0; b < n; b++) {
            next[b] = -1;
            if (plan.samples()[b]) {
                int row = plan.rows()[b];
                long sum = 0;
                for (int p = 0; p < plan.contextLength(b); p++) {
                    sum += kv[slotTable[row][p]];
                }
                next[b] = model.next(sum);
                tokenPool[row][plan.contextLength(b)] = next[b];
            }
        }
        return new StepResult(plan.step(), next, new TokenLogprob[n], (List<TokenLogprob>[]) new List[n], 0, 1);
    }

    private void check(StepPlan plan) {
        require(plan.step() == lastStep + 1, "step " + plan.step() + " follows " + lastStep);
        lastStep = plan.step();
        int n = plan.sequences();
        require(n > 0, "an empty plan");
        require(plan.tokenStart().length == n + 1 && plan.tokenStart()[n] == plan.tokens(), "token starts");
        Set<Integer> rowsSeen = new HashSet<>();
        Set<Integer> slotsSeen = new HashSet<>();
        for (int b = 0; b < n; b++) {
            require(plan.rows()[b] >= 0 && plan.rows()[b] < rows, "row " + plan.rows()[b]);
            require(rowsSeen.add(plan.rows()[b]), "row " + plan.rows()[b] + " twice");
            require(plan.count(b) >= 1, "a sequence without tokens");
            require(plan.contextLength(b) <= context, "beyond the context");
        }
        for (int i = 0; i < plan.tokens(); i++) {
            int slot = plan.slots()[i];
            require(slot >= 1 && slot <= capacity, "slot " + slot);
            require(slotsSeen.add(slot), "slot " + slot + " twice in a step");
            int id = plan.inputIds()[i];
            require(id >= 0 && id < model.vocabulary || plan.mode() == ForwardMode.DECODE && id == -1, "id " + id);
        }
        for (StepPlan.Prefix prefix : plan.prefixes()) {
            require(rowsSeen.contains(prefix.row()), "a prefix for a row without sequence");
            int b = indexOf(plan.rows(), prefix.row());
            require(prefix.slots().length == plan.starts()[b], "a prefix that is not what stands before the step");
            require(prefix.ids().length == prefix.slots().length, "prefix ids");
        }
    }

    private static int indexOf(int[] values, int value) {
        for (int i = 0; i < values.length; i++) {
            if (values[i] == value) {
                return i;
            }
        }
        throw new AssertionError(value + " is not in " + Arrays.toString(values));
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("bad plan: " + what);
        }
    }
}
