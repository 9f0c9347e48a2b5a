package dev.baton.engine.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;

/**
 * Makes a {@link Program} of rules: each rule's automaton is made deterministic by the subset construction (a call counts as
 * a letter) unless that gets too large, states that cannot reach an end are taken out, and what a state leads to without a
 * byte is worked out.
 */
final class ProgramBuilder {
    /** A rule that would get more states keeps its nondeterministic ones. */
    private static final int MAX_DETERMINISTIC = 20_000;

    private final ByteNfa nfa;
    private final String field;
    private final Deadline deadline;
    private final int[] classOf = new int[256];
    private final BitSet isEnd = new BitSet();

    // The automaton before dead states are taken out, by state.
    private final List<List<int[]>> edges = new ArrayList<>();
    private final List<List<int[]>> calls = new ArrayList<>();
    private final List<Boolean> ends = new ArrayList<>();
    private final int[] ruleStart;

    private ProgramBuilder(ByteNfa nfa, String field, Deadline deadline) {
        this.nfa = nfa;
        this.field = field;
        this.deadline = deadline;
        this.ruleStart = new int[nfa.starts.size()];
        nfa.ends.forEach(isEnd::set);
    }

    /**
     * @param rules by name
     * @param start the rule that the whole text must match
     * @param writable [256] bytes for which the vocabulary has a token of their own; no others are generated
     * @param field for errors
     */
    static Program build(
            Map<String, Expression> rules, String start, boolean[] writable, String field, Deadline deadline) {
        ByteNfa nfa = new ByteNfa(rules, start, writable, field, deadline);
        ProgramBuilder builder = new ProgramBuilder(nfa, field, deadline);
        builder.classes();
        for (int rule = 0; rule < builder.ruleStart.length; rule++) {
            int before = builder.edges.size();
            if (!builder.determinize(rule)) {
                while (builder.edges.size() > before) {
                    builder.edges.removeLast();
                    builder.calls.removeLast();
                    builder.ends.removeLast();
                }
                builder.withoutEmptyMoves(rule);
            }
        }
        return builder.trimmed();
    }

    private void classes() {
        boolean[] begins = new boolean[257];
        begins[0] = true;
        for (List<int[]> list : nfa.edges) {
            for (int[] edge : list) {
                begins[edge[0]] = true;
                begins[edge[1] + 1] = true;
            }
        }
        int current = -1;
        for (int b = 0; b < 256; b++) {
            current += begins[b] ? 1 : 0;
            classOf[b] = current;
        }
    }

    private int add(boolean end) {
        edges.add(new ArrayList<>());
        calls.add(new ArrayList<>());
        ends.add(end);
        if ((edges.size() & 255) == 0) {
            deadline.check();
        }
        return edges.size() - 1;
    }

    private List<Integer> closure(Iterable<Integer> states) {
        TreeSet<Integer> seen = new TreeSet<>();
        ArrayDeque<Integer> open = new ArrayDeque<>();
        states.forEach(open::add);
        while (!open.isEmpty()) {
            int s = open.remove();
            if (seen.add(s)) {
                open.addAll(nfa.empty.get(s));
            }
        }
        // States that only have empty moves say nothing about what comes.
        seen.removeIf(s -> nfa.edges.get(s).isEmpty() && nfa.calls.get(s).isEmpty() && !isEnd.get(s));
        return List.copyOf(seen);
    }

    private boolean determinize(int rule) {
        Map<List<Integer>, Integer> numbers = new HashMap<>();
        ArrayDeque<List<Integer>> open = new ArrayDeque<>();
        int first = edges.size();
        ruleStart[rule] = number(closure(List.of(nfa.starts.get(rule))), rule, numbers, open);
        while (!open.isEmpty()) {
            List<Integer> subset = open.remove();
            int from = Objects.requireNonNull(numbers.get(subset));
            Map<Integer, TreeSet<Integer>> byRule = new HashMap<>();
            List<int[]> out = new ArrayList<>();
            for (int s : subset) {
                out.addAll(nfa.edges.get(s));
                for (int[] call : nfa.calls.get(s)) {
                    byRule.computeIfAbsent(call[0], r -> new TreeSet<>()).add(call[1]);
                }
            }
            byteEdges(out, from, rule, numbers, open);
            byRule.forEach((called, targets) ->
                    calls.get(from).add(new int[] {called, number(closure(targets), rule, numbers, open)}));
            if (edges.size() - first > MAX_DETERMINISTIC) {
                return false;
            }
        }
        return true;
    }

    /** Cuts the edges of a subset where one of them begins or ends, and joins what leads to the same subset. */
    private void byteEdges(
            List<int[]> out, int from, int rule, Map<List<Integer>, Integer> numbers, ArrayDeque<List<Integer>> open) {
        TreeSet<Integer> cuts = new TreeSet<>();
        for (int[] edge : out) {
            cuts.add(edge[0]);
            cuts.add(edge[1] + 1);
        }
        int[] last = null;
        for (Integer begin = cuts.isEmpty() ? null : cuts.first(); begin != null; begin = cuts.higher(begin)) {
            TreeSet<Integer> targets = new TreeSet<>();
            for (int[] edge : out) {
                if (edge[0] <= begin && begin <= edge[1]) {
                    targets.add(edge[2]);
                }
            }
            if (targets.isEmpty()) {
                continue;
            }
            int end = cuts.higher(begin) - 1;
            int target = number(closure(targets), rule, numbers, open);
            if (last != null && last[2] == target && last[1] == classOf[begin] - 1) {
                last[1] = classOf[end];
            } else {
                last = new int[] {classOf[begin], classOf[end], target};
                edges.get(from).add(last);
            }
        }
    }

    private int number(
            List<Integer> subset, int rule, Map<List<Integer>, Integer> numbers, ArrayDeque<List<Integer>> open) {
        Integer known = numbers.get(subset);
        if (known == null) {
            known = add(subset.contains(nfa.ends.get(rule)));
            numbers.put(subset, known);
            open.add(subset);
        }
        return known;
    }

    private void withoutEmptyMoves(int rule) {
        Map<Integer, Integer> numbers = new HashMap<>();
        ArrayDeque<Integer> open = new ArrayDeque<>();
        ruleStart[rule] = single(nfa.starts.get(rule), rule, numbers, open);
        while (!open.isEmpty()) {
            int old = open.remove();
            int from = Objects.requireNonNull(numbers.get(old));
            for (int s : closure(List.of(old))) {
                for (int[] edge : nfa.edges.get(s)) {
                    edges.get(from)
                            .add(new int[] {classOf[edge[0]], classOf[edge[1]], single(edge[2], rule, numbers, open)});
                }
                for (int[] call : nfa.calls.get(s)) {
                    calls.get(from).add(new int[] {call[0], single(call[1], rule, numbers, open)});
                }
            }
        }
    }

    private int single(int old, int rule, Map<Integer, Integer> numbers, ArrayDeque<Integer> open) {
        Integer known = numbers.get(old);
        if (known == null) {
            known = add(closure(List.of(old)).contains(nfa.ends.get(rule)));
            numbers.put(old, known);
            open.add(old);
        }
        return known;
    }

    /** Takes out what cannot end or cannot be reached, and numbers the rest anew. */
    private Program trimmed() {
        boolean[] alive = alive();
        if (!alive[ruleStart[0]]) {
            throw GrammarFault.of(field, "no text matches it (in the tokens of this model's vocabulary)");
        }
        int[] number = new int[edges.size()];
        Arrays.fill(number, -1);
        List<Integer> kept = new ArrayList<>();
        number[ruleStart[0]] = 0;
        kept.add(ruleStart[0]);
        for (int i = 0; i < kept.size(); i++) {
            int s = kept.get(i);
            edges.get(s).removeIf(edge -> !alive[edge[2]]);
            calls.get(s).removeIf(call -> !alive[call[1]] || !alive[ruleStart[call[0]]]);
            edges.get(s).forEach(edge -> keep(edge[2], number, kept));
            calls.get(s).forEach(call -> {
                keep(ruleStart[call[0]], number, kept);
                keep(call[1], number, kept);
            });
        }
        int[][] newEdges = new int[kept.size()][];
        int[][] newCalls = new int[kept.size()][];
        boolean[] newEnds = new boolean[kept.size()];
        for (int i = 0; i < kept.size(); i++) {
            int s = kept.get(i);
            newEnds[i] = ends.get(s);
            newEdges[i] = edges.get(s).stream()
                    .flatMapToInt(e -> java.util.stream.IntStream.of(e[0], e[1], number[e[2]]))
                    .toArray();
            newCalls[i] = calls.get(s).stream()
                    .flatMapToInt(c -> java.util.stream.IntStream.of(number[ruleStart[c[0]]], number[c[1]]))
                    .toArray();
        }
        Map<Integer, String> names = new HashMap<>();
        nfa.numbers.forEach((name, rule) -> names.put(number[ruleStart[rule]], name));
        Program.Closure[] closures = new Closures(newEdges, newCalls, newEnds, names, field, deadline).all();
        return new Program(classOf, 0, newEdges, newCalls, newEnds, closures);
    }

    private static void keep(int state, int[] number, List<Integer> kept) {
        if (number[state] < 0) {
            number[state] = kept.size();
            kept.add(state);
        }
    }

    /** States from which their rule can end: backwards from the ends; a call passes when its rule can end. */
    private boolean[] alive() {
        int states = edges.size();
        List<List<int[]>> before = new ArrayList<>();
        for (int s = 0; s < states; s++) {
            before.add(new ArrayList<>());
        }
        for (int s = 0; s < states; s++) {
            for (int[] edge : edges.get(s)) {
                before.get(edge[2]).add(new int[] {s, -1});
            }
            for (int[] call : calls.get(s)) {
                before.get(call[1]).add(new int[] {s, call[0]});
            }
        }
        boolean[] alive = new boolean[states];
        Map<Integer, List<Integer>> waiting = new HashMap<>();
        Map<Integer, Integer> ruleOf = new HashMap<>();
        for (int rule = 0; rule < ruleStart.length; rule++) {
            ruleOf.put(ruleStart[rule], rule);
        }
        ArrayDeque<Integer> open = new ArrayDeque<>();
        for (int s = 0; s < states; s++) {
            if (ends.get(s)) {
                open.add(s);
            }
        }
        while (!open.isEmpty()) {
            int s = open.remove();
            if (alive[s]) {
                continue;
            }
            alive[s] = true;
            for (int[] from : before.get(s)) {
                if (from[1] < 0 || alive[ruleStart[from[1]]]) {
                    open.add(from[0]);
                } else {
                    waiting.computeIfAbsent(from[1], r -> new ArrayList<>()).add(from[0]);
                }
            }
            Integer rule = ruleOf.get(s);
            if (rule != null) {
                open.addAll(waiting.getOrDefault(rule, List.of()));
            }
        }
        return alive;
    }
}
