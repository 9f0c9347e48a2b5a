package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Groups the states of a program that no text of a given length tells apart: Moore's refinement, stopped after that many
 * rounds. Each round looks one byte further; calls of rules that may be empty are looked through, because they take none.
 */
final class StateClasses {
    /** Above this many state visits the grouping is left as coarse work not worth doing: every state is its own. */
    private static final long MAX_WORK = 20_000_000;

    private StateClasses() {}

    /** [states] for each state the first one of its group. */
    static int[] of(Program program, int length, Deadline deadline) {
        int n = program.states();
        int[][] level = level(program);
        int[] group = new int[n];
        int groups = 1;
        long work = 0;
        for (int round = 0; round <= length; round++) {
            deadline.check();
            work += n;
            if (work > MAX_WORK) {
                Arrays.setAll(group, s -> s);
                break;
            }
            Map<Signature, Integer> numbers = new HashMap<>();
            int[] next = new int[n];
            for (int s = 0; s < n; s++) {
                next[s] = numbers.computeIfAbsent(signature(program, s, level[s], group), k -> numbers.size());
            }
            boolean stable = numbers.size() == groups && round > 0;
            groups = numbers.size();
            group = next;
            if (stable) {
                break;
            }
        }
        int[] first = new int[n];
        Map<Integer, Integer> firstOf = new HashMap<>();
        for (int s = 0; s < n; s++) {
            int state = s;
            first[s] = firstOf.computeIfAbsent(group[s], g -> state);
        }
        return first;
    }

    /** What two states of a group have in common. */
    private static final class Signature {
        private final int[] parts;
        private final int hash;

        Signature(int[] parts) {
            this.parts = parts;
            this.hash = Arrays.hashCode(parts);
        }

        @Override
        public boolean equals(@Nullable Object o) {
            return o instanceof Signature other && hash == other.hash && Arrays.equals(parts, other.parts);
        }

        @Override
        public int hashCode() {
            return hash;
        }
    }

    /** The state's group so far, its own moves, and those of the states that it reaches past empty rules. */
    private static Signature signature(Program program, int state, int[] level, int[] group) {
        int length = 1;
        for (int s : level) {
            length += 3 + program.edges[s].length + program.calls[s].length;
        }
        int[] all = new int[length];
        int n = 0;
        all[n++] = group[state];
        for (int s : level) {
            all[n++] = -1;
            all[n++] = program.ends[s] ? 1 : 0;
            int[] edges = program.edges[s];
            for (int e = 0; e < edges.length; e += 3) {
                all[n++] = edges[e];
                all[n++] = edges[e + 1];
                all[n++] = group[edges[e + 2]];
            }
            all[n++] = -2;
            int[] calls = program.calls[s];
            for (int c = 0; c < calls.length; c += 2) {
                all[n++] = calls[c];
                all[n++] = group[calls[c + 1]];
            }
        }
        return new Signature(all);
    }

    /** [states] the state itself, then what it reaches by calls that may be empty. */
    private static int[][] level(Program program) {
        int[][] level = new int[program.states()][];
        for (int s = 0; s < level.length; s++) {
            TreeSet<Integer> later = new TreeSet<>();
            List<Integer> open = new ArrayList<>(List.of(s));
            for (int i = 0; i < open.size(); i++) {
                int[] calls = program.calls[open.get(i)];
                for (int c = 0; c < calls.length; c += 2) {
                    int target = calls[c + 1];
                    if (program.closure(calls[c]).ends() && target != s && later.add(target)) {
                        open.add(target);
                    }
                }
            }
            int[] states = new int[later.size() + 1];
            states[0] = s;
            int i = 1;
            for (int t : later) {
                states[i++] = t;
            }
            level[s] = states;
        }
        return level;
    }
}
