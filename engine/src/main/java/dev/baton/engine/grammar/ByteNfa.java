package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * The rules of a grammar as automata over bytes with empty moves, one after the other in one numbering. Built from the end of
 * each expression to its beginning, so that parts which an expression shares are built once.
 */
final class ByteNfa {
    private static final int MAX_STATES = 400_000;
    /** What a JSON string may hold as it stands. */
    private static final CodePoints JSON_RAW =
            CodePoints.range(0x20, 0x10FFFF).and(CodePoints.ofAll("\"\\").not());

    private static final String JSON_SHORT = "\"\\\b\f\n\r\t";
    private static final String JSON_LETTERS = "\"\\bfnrt";

    private final Map<String, Expression> rules;
    private final boolean[] writable;
    private final String field;
    private final Deadline deadline;

    /** Rules in the order in which they were met; the first one is the grammar. */
    final Map<String, Integer> numbers = new HashMap<>();

    private final List<String> names = new ArrayList<>();
    /** By rule. */
    final List<Integer> starts = new ArrayList<>();

    final List<Integer> ends = new ArrayList<>();

    // By state.
    /** Each {first byte, last byte, target}. */
    final List<List<int[]>> edges = new ArrayList<>();
    /** Each {rule, target}. */
    final List<List<int[]>> calls = new ArrayList<>();

    final List<List<Integer>> empty = new ArrayList<>();

    /** By expression, by target: its first state. */
    private final IdentityHashMap<Expression, Map<Integer, Integer>> built = new IdentityHashMap<>();
    /** The rest of a UTF-8 sequence and its target: the state before it. */
    private final Map<List<Integer>, Integer> tails = new HashMap<>();

    /** @param writable [256] bytes for which the vocabulary has a token of their own */
    ByteNfa(Map<String, Expression> rules, String start, boolean[] writable, String field, Deadline deadline) {
        this.rules = rules;
        this.writable = writable;
        this.field = field;
        this.deadline = deadline;
        number(start);
        for (int rule = 0; rule < starts.size(); rule++) {
            int end = state();
            ends.set(rule, end);
            built.clear();
            starts.set(rule, part(java.util.Objects.requireNonNull(rules.get(names.get(rule))), end));
        }
    }

    private int number(String name) {
        Integer known = numbers.get(name);
        if (known != null) {
            return known;
        }
        if (!rules.containsKey(name)) {
            throw GrammarFault.of(field, "rule '" + name + "' is used and not defined");
        }
        numbers.put(name, numbers.size());
        names.add(name);
        starts.add(-1);
        ends.add(-1);
        return numbers.size() - 1;
    }

    private int state() {
        if (edges.size() >= MAX_STATES) {
            throw GrammarFault.of(field, "it needs more than " + MAX_STATES + " states; make it smaller");
        }
        if ((edges.size() & 1023) == 0) {
            deadline.check();
        }
        edges.add(new ArrayList<>(1));
        calls.add(List.of());
        empty.add(List.of());
        return edges.size() - 1;
    }

    private void move(int from, int to) {
        if (empty.get(from).isEmpty()) {
            empty.set(from, new ArrayList<>(2));
        }
        empty.get(from).add(to);
    }

    /** The state from which the expression leads to {@code target}. */
    private int part(Expression expression, int target) {
        Map<Integer, Integer> known = built.computeIfAbsent(expression, e -> new HashMap<>());
        Integer state = known.get(target);
        if (state == null) {
            state = make(expression, target);
            known.put(target, state);
        }
        return state;
    }

    private int make(Expression expression, int target) {
        return switch (expression) {
            case Expression.Chars(CodePoints set) -> {
                int state = state();
                chars(state, set, target);
                yield state;
            }
            case Expression.Sequence(List<Expression> parts) -> {
                int next = target;
                for (Expression part : parts.reversed()) {
                    next = part(part, next);
                }
                yield next;
            }
            case Expression.Choice(List<Expression> options) -> {
                int state = state();
                for (Expression option : options) {
                    move(state, part(option, target));
                }
                yield state;
            }
            case Expression.Repeat repeat -> repeat(repeat, target);
            case Expression.Rule(String name) -> {
                int state = state();
                calls.set(state, List.of(new int[] {number(name), target}));
                yield state;
            }
            case Expression.Machine machine -> machine(machine, target);
        };
    }

    private int repeat(Expression.Repeat repeat, int target) {
        int next = target;
        if (repeat.most() == Expression.UNBOUNDED) {
            int loop = state();
            move(loop, target);
            move(loop, part(repeat.part(), loop));
            next = loop;
        } else {
            for (int i = repeat.least(); i < repeat.most(); i++) {
                int skip = state();
                move(skip, target);
                move(skip, part(repeat.part(), next));
                next = skip;
            }
        }
        for (int i = 0; i < repeat.least(); i++) {
            next = part(repeat.part(), next);
        }
        return next;
    }

    private int machine(Expression.Machine machine, int target) {
        CharNfa nfa = machine.nfa();
        int first = state();
        for (int i = 1; i < nfa.size(); i++) {
            state();
        }
        for (int i = 0; i < nfa.size(); i++) {
            for (CharNfa.Edge edge : nfa.edges.get(i)) {
                if (machine.jsonEscaped()) {
                    jsonChars(first + i, edge.set(), first + edge.target());
                } else {
                    chars(first + i, edge.set(), first + edge.target());
                }
            }
            if (nfa.ends.get(i)) {
                move(first + i, target);
            }
        }
        return first;
    }

    private void edge(int from, int first, int last, int target) {
        int b = first;
        while (b <= last) {
            if (!writable[b]) {
                b++;
                continue;
            }
            int run = b;
            while (run < last && writable[run + 1]) {
                run++;
            }
            edges.get(from).add(new int[] {b, run, target});
            b = run + 1;
        }
    }

    /** Each code point as a JSON string writes it: as it stands where it may, else with the shortest escape. */
    private void jsonChars(int from, CodePoints set, int target) {
        chars(from, set.and(JSON_RAW), target);
        CodePoints escaped = set.and(JSON_RAW.not());
        if (escaped.isEmpty()) {
            return;
        }
        int backslash = state();
        edge(from, '\\', '\\', backslash);
        for (int range = 0; range < escaped.rangeCount(); range++) {
            for (int c = escaped.first(range); c <= escaped.last(range); c++) {
                int at = JSON_SHORT.indexOf(c);
                if (at >= 0) {
                    edge(backslash, JSON_LETTERS.charAt(at), JSON_LETTERS.charAt(at), target);
                } else {
                    int next = target;
                    byte[] hex = String.format("u%04x", c).getBytes(java.nio.charset.StandardCharsets.US_ASCII);
                    for (int i = hex.length - 1; i > 0; i--) {
                        int state = state();
                        edge(state, hex[i], hex[i], next);
                        next = state;
                    }
                    edge(backslash, 'u', 'u', next);
                }
            }
        }
    }

    private void chars(int from, CodePoints set, int target) {
        for (int range = 0; range < set.rangeCount(); range++) {
            utf8(from, set.first(range), set.last(range), target);
        }
    }

    /** Splits a range of code points until every byte of its UTF-8 varies freely within a range of its own. */
    private void utf8(int from, int first, int last, int target) {
        for (int limit : new int[] {0x7F, 0x7FF, 0xFFFF}) {
            if (first <= limit && last > limit) {
                utf8(from, first, limit, target);
                utf8(from, limit + 1, last, target);
                return;
            }
        }
        int length = length(first);
        for (int i = 1; i < length; i++) {
            int low = (1 << 6 * i) - 1;
            if ((first & ~low) != (last & ~low)) {
                if ((first & low) != 0) {
                    utf8(from, first, first | low, target);
                    utf8(from, (first | low) + 1, last, target);
                    return;
                }
                if ((last & low) != low) {
                    utf8(from, first, (last & ~low) - 1, target);
                    utf8(from, last & ~low, last, target);
                    return;
                }
            }
        }
        Integer[] ranges = new Integer[2 * length];
        for (int i = 0; i < length; i++) {
            ranges[2 * i] = utf8Byte(first, i, length);
            ranges[2 * i + 1] = utf8Byte(last, i, length);
        }
        int next = target;
        for (int i = length - 1; i > 0; i--) {
            List<Integer> key = new ArrayList<>(Arrays.asList(ranges).subList(2 * i, 2 * length));
            key.add(target);
            Integer known = tails.get(key);
            if (known == null) {
                known = state();
                edge(known, ranges[2 * i], ranges[2 * i + 1], next);
                tails.put(key, known);
            }
            next = known;
        }
        edge(from, ranges[0], ranges[1], next);
    }

    private static int length(int codePoint) {
        return codePoint <= 0x7F ? 1 : codePoint <= 0x7FF ? 2 : codePoint <= 0xFFFF ? 3 : 4;
    }

    private static int utf8Byte(int codePoint, int index, int length) {
        int bits = codePoint >> 6 * (length - 1 - index);
        if (index > 0) {
            return 0x80 | bits & 0x3F;
        }
        return switch (length) {
            case 1 -> bits;
            case 2 -> 0xC0 | bits;
            case 3 -> 0xE0 | bits;
            default -> 0xF0 | bits;
        };
    }
}
