package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Works out where each state leads without a byte: into the rules that it calls, and past those that may be empty. */
final class Closures {
    private static final int MAX_STACKS = 4_096;

    private final int[][] edges;
    private final int[][] calls;
    private final boolean[] ends;
    private final Map<Integer, String> ruleNames;
    private final String field;
    private final Deadline deadline;
    private final boolean[] emptyToEnd;
    private final Program.Closure[] done;
    private final boolean[] open;
    private final List<String> path = new ArrayList<>();

    Closures(
            int[][] edges,
            int[][] calls,
            boolean[] ends,
            Map<Integer, String> ruleNames,
            String field,
            Deadline deadline) {
        this.edges = edges;
        this.calls = calls;
        this.ends = ends;
        this.ruleNames = ruleNames;
        this.field = field;
        this.deadline = deadline;
        this.emptyToEnd = emptyToEnd();
        this.done = new Program.Closure[edges.length];
        this.open = new boolean[edges.length];
    }

    /** States from which their rule can end without a byte. */
    private boolean[] emptyToEnd() {
        boolean[] empty = ends.clone();
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int s = empty.length - 1; s >= 0; s--) {
                for (int c = 0; !empty[s] && c < calls[s].length; c += 2) {
                    if (empty[calls[s][c]] && empty[calls[s][c + 1]]) {
                        empty[s] = true;
                        changed = true;
                    }
                }
            }
        }
        return empty;
    }

    Program.Closure[] all() {
        for (int s = 0; s < done.length; s++) {
            of(s);
        }
        return done;
    }

    private Program.Closure of(int state) {
        if (done[state] != null) {
            return done[state];
        }
        String name = ruleNames.get(state);
        if (open[state]) {
            throw GrammarFault.of(
                    field,
                    "rule '" + name + "' is left-recursive (it can begin with itself: " + String.join(" -> ", path)
                            + " -> " + name + "); write it with a repetition");
        }
        open[state] = true;
        if (name != null) {
            path.add(name);
        }
        deadline.check();
        List<int[]> stacks = new ArrayList<>();
        List<Integer> level = new ArrayList<>(List.of(state));
        for (int i = 0; i < level.size(); i++) {
            int s = level.get(i);
            if (edges[s].length > 0) {
                stacks.add(new int[] {s});
            }
            for (int c = 0; c < calls[s].length; c += 2) {
                int target = calls[s][c + 1];
                for (int[] inner : of(calls[s][c]).stacks()) {
                    stacks.add(below(target, inner));
                }
                if (emptyToEnd[calls[s][c]] && !level.contains(target)) {
                    level.add(target);
                }
            }
            if (stacks.size() > MAX_STACKS) {
                throw GrammarFault.of(field, "more than " + MAX_STACKS + " ways to go on at one place");
            }
        }
        if (name != null) {
            path.removeLast();
        }
        open[state] = false;
        done[state] = new Program.Closure(distinct(stacks), emptyToEnd[state]);
        return done[state];
    }

    private int[] below(int target, int[] inner) {
        if (Program.isLast(edges[target], calls[target], ends[target])) {
            return inner;
        }
        int[] stack = new int[inner.length + 1];
        stack[0] = target;
        System.arraycopy(inner, 0, stack, 1, inner.length);
        return stack;
    }

    private static int[][] distinct(List<int[]> stacks) {
        List<int[]> kept = new ArrayList<>();
        for (int[] stack : stacks) {
            if (kept.stream().noneMatch(other -> Arrays.equals(other, stack))) {
                kept.add(stack);
            }
        }
        return kept.toArray(new int[0][]);
    }
}
