package dev.baton.engine.parallel;

import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.StepPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Keeps book of what lies in one rank's KV slots, by the plans that the rank executes. Fails the rank when a step reads a
 * slot that holds something else than what the sequence put or found there, or when pages are not kept.
 */
final class SlotLedger implements RankObserver {
    private final int pageTokens;
    private final Content[] memory;
    private final Map<Integer, Row> rows = new HashMap<>();
    /** What every step did, to compare ranks. */
    private final List<String> steps = new ArrayList<>();

    /** One token's KV; another token, or the same computed again, is another object. */
    private static final class Content {
        final int position;
        /** -1: not known when the step was planned. */
        final int id;

        Content(int position, int id) {
            this.position = position;
            this.id = id;
        }
    }

    /** A sequence in its row: by position. */
    private static final class Row {
        final List<Integer> slots = new ArrayList<>();
        final List<Content> contents = new ArrayList<>();

        void add(int slot, Content content) {
            slots.add(slot);
            contents.add(content);
        }
    }

    SlotLedger(int capacityTokens, int pageTokens) {
        this.pageTokens = pageTokens;
        this.memory = new Content[capacityTokens + pageTokens];
    }

    /** What every step did; of all ranks of a group the same. */
    List<String> steps() {
        return steps;
    }

    @Override
    public void stepBegan(StepPlan plan) {
        steps.add(plan.mode() + " " + Arrays.toString(plan.rows()) + Arrays.toString(plan.starts())
                + Arrays.toString(plan.slots()));
        plan.prefixes().forEach(this::enter);
        for (int b = 0; b < plan.sequences(); b++) {
            write(plan, b);
        }
        // After every write of the step, so that sequences of one step are checked against each other.
        for (int row : plan.rows()) {
            requireKept(plan, row);
        }
    }

    private void enter(StepPlan.Prefix prefix) {
        Row row = new Row();
        for (int p = 0; p < prefix.slots().length; p++) {
            int slot = prefix.slots()[p];
            Content found = memory[slot];
            if (found == null || found.position != p || found.id >= 0 && found.id != prefix.ids()[p]) {
                throw new AssertionError("row " + prefix.row() + " takes slot " + slot + " for id " + prefix.ids()[p]
                        + " at position " + p + ", which holds "
                        + (found == null ? "nothing" : "id " + found.id + " at position " + found.position));
            }
            row.add(slot, found);
        }
        rows.put(prefix.row(), row);
    }

    private void write(StepPlan plan, int b) {
        Row row = rows.get(plan.rows()[b]);
        int cached = row == null ? -1 : row.slots.size();
        if (row == null || cached != plan.starts()[b]) {
            throw new AssertionError("step " + plan.step() + " goes on at position " + plan.starts()[b] + " of row "
                    + plan.rows()[b] + ", which has " + cached);
        }
        for (int i = 0; i < plan.count(b); i++) {
            int token = plan.tokenStart()[b] + i;
            int position = plan.starts()[b] + i;
            int slot = plan.slots()[token];
            boolean begins = position % pageTokens == 0;
            if (slot < pageTokens
                    || slot % pageTokens != position % pageTokens
                    || !begins && slot != row.slots.get(position - 1) + 1) {
                throw new AssertionError(
                        "position " + position + " lies in slot " + slot + ", which breaks its page of " + pageTokens);
            }
            Content content = new Content(position, plan.inputIds()[token]);
            memory[slot] = content;
            row.add(slot, content);
        }
    }

    private void requireKept(StepPlan plan, int number) {
        Row row = rows.get(number);
        for (int p = 0; p < row.slots.size(); p++) {
            if (memory[row.slots.get(p)] != row.contents.get(p)) {
                throw new AssertionError("step " + plan.step() + " reads slot " + row.slots.get(p) + " as position " + p
                        + " of row " + number + ", which others have written over");
            }
        }
    }

    @Override
    public void stepEnded(StepPlan plan, PendingStep step) {}
}
