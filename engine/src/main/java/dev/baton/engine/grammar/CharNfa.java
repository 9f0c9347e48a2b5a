package dev.baton.engine.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;

/**
 * A nondeterministic automaton over code points without empty moves. State 0 begins. For strings whose language is cut out
 * by several conditions (pattern, format, length): {@link #and}.
 */
final class CharNfa {
    /** What one automaton may have: more is refused. */
    private static final int MAX_STATES = 50_000;

    /** An edge that any code point of a set takes. */
    record Edge(CodePoints set, int target) {}

    final List<List<Edge>> edges = new ArrayList<>();
    final List<Boolean> ends = new ArrayList<>();

    private CharNfa() {}

    private int add(boolean end) {
        if (edges.size() >= MAX_STATES) {
            throw GrammarFault.of("grammar", "a pattern or a length needs more than " + MAX_STATES + " states");
        }
        edges.add(new ArrayList<>());
        ends.add(end);
        return edges.size() - 1;
    }

    int size() {
        return edges.size();
    }

    /** What an expression without rules matches. */
    static CharNfa of(Expression expression) {
        return new Thompson().build(expression);
    }

    /** Texts of {@code least} to {@code most} code points. */
    static CharNfa length(int least, int most) {
        CharNfa nfa = new CharNfa();
        int last = most == Expression.UNBOUNDED ? least : most;
        for (int i = 0; i <= last; i++) {
            int state = nfa.add(i >= least);
            if (i < last) {
                nfa.edges.get(state).add(new Edge(CodePoints.ALL, state + 1));
            } else if (most == Expression.UNBOUNDED) {
                nfa.edges.get(state).add(new Edge(CodePoints.ALL, state));
            }
        }
        return nfa;
    }

    /** Every text but the given ones. */
    static CharNfa except(Iterable<String> texts) {
        CharNfa nfa = new CharNfa();
        nfa.add(true);
        int free = nfa.add(true);
        nfa.edges.get(free).add(new Edge(CodePoints.ALL, free));
        Map<String, Integer> prefixes = new HashMap<>();
        prefixes.put("", 0);
        Map<Integer, CodePoints> left = new HashMap<>();
        for (String text : new TreeSet<>(toList(texts))) {
            String prefix = "";
            for (int c : text.codePoints().toArray()) {
                int from = Objects.requireNonNull(prefixes.get(prefix));
                prefix += Character.toString(c);
                if (!prefixes.containsKey(prefix)) {
                    int state = nfa.add(true);
                    prefixes.put(prefix, state);
                    nfa.edges.get(from).add(new Edge(CodePoints.of(c), state));
                    left.merge(from, CodePoints.of(c), CodePoints::or);
                }
            }
            nfa.ends.set(Objects.requireNonNull(prefixes.get(prefix)), false);
        }
        prefixes.values()
                .forEach(state -> nfa.edges
                        .get(state)
                        .add(new Edge(left.getOrDefault(state, CodePoints.NONE).not(), free)));
        return nfa;
    }

    /** Texts in which none of the markers occurs (Aho and Corasick's automaton without its final states). */
    static CharNfa without(Collection<String> markers) {
        CharNfa nfa = new CharNfa();
        List<String> prefixes = new ArrayList<>(List.of(""));
        for (String marker : new TreeSet<>(markers)) {
            for (int end = marker.offsetByCodePoints(0, 1); end < marker.length(); ) {
                if (!prefixes.contains(marker.substring(0, end))) {
                    prefixes.add(marker.substring(0, end));
                }
                end = marker.offsetByCodePoints(end, 1);
            }
        }
        CodePoints known = CodePoints.ofAll(String.join("", markers));
        prefixes.forEach(prefix -> nfa.add(true));
        for (int from = 0; from < prefixes.size(); from++) {
            nfa.edges.get(from).add(new Edge(known.not(), 0));
            for (int range = 0; range < known.rangeCount(); range++) {
                for (int c = known.first(range); c <= known.last(range); c++) {
                    String text = prefixes.get(from) + Character.toString(c);
                    if (markers.stream().noneMatch(text::endsWith)) {
                        int to = prefixes.indexOf(longestSuffix(text, prefixes));
                        nfa.edges.get(from).add(new Edge(CodePoints.of(c), to));
                    }
                }
            }
        }
        return nfa;
    }

    private static String longestSuffix(String text, List<String> prefixes) {
        String suffix = text;
        while (!prefixes.contains(suffix)) {
            suffix = suffix.substring(suffix.offsetByCodePoints(0, 1));
        }
        return suffix;
    }

    private static List<String> toList(Iterable<String> texts) {
        List<String> list = new ArrayList<>();
        texts.forEach(list::add);
        return list;
    }

    /** What both accept. */
    CharNfa and(CharNfa other) {
        CharNfa both = new CharNfa();
        Map<Long, Integer> numbers = new HashMap<>();
        ArrayDeque<long[]> open = new ArrayDeque<>();
        numbers.put(0L, both.add(ends.getFirst() && other.ends.getFirst()));
        open.add(new long[] {0, 0});
        while (!open.isEmpty()) {
            long[] pair = open.remove();
            int from = Objects.requireNonNull(numbers.get(pair[0] << 32 | pair[1]));
            for (Edge mine : edges.get((int) pair[0])) {
                for (Edge theirs : other.edges.get((int) pair[1])) {
                    CodePoints set = mine.set.and(theirs.set);
                    if (!set.isEmpty()) {
                        long key = (long) mine.target << 32 | theirs.target;
                        Integer to = numbers.get(key);
                        if (to == null) {
                            to = both.add(ends.get(mine.target) && other.ends.get(theirs.target));
                            numbers.put(key, to);
                            open.add(new long[] {mine.target, theirs.target});
                        }
                        both.edges.get(from).add(new Edge(set, to));
                    }
                }
            }
        }
        return both;
    }

    /** Thompson's construction from the end to the beginning, then the empty moves taken out. */
    private static final class Thompson {
        private final List<List<Edge>> edges = new ArrayList<>();
        private final List<List<Integer>> empty = new ArrayList<>();

        private int state() {
            if (edges.size() >= MAX_STATES) {
                throw GrammarFault.of("grammar", "a pattern needs more than " + MAX_STATES + " states");
            }
            edges.add(new ArrayList<>());
            empty.add(new ArrayList<>());
            return edges.size() - 1;
        }

        CharNfa build(Expression expression) {
            int end = state();
            int start = part(expression, end);
            Map<Integer, Integer> numbers = new HashMap<>();
            ArrayDeque<Integer> open = new ArrayDeque<>();
            CharNfa nfa = new CharNfa();
            numbers.put(start, nfa.add(closure(start).contains(end)));
            open.add(start);
            while (!open.isEmpty()) {
                int old = open.remove();
                for (int member : closure(old)) {
                    for (Edge edge : edges.get(member)) {
                        Integer to = numbers.get(edge.target);
                        if (to == null) {
                            to = nfa.add(closure(edge.target).contains(end));
                            numbers.put(edge.target, to);
                            open.add(edge.target);
                        }
                        nfa.edges.get(Objects.requireNonNull(numbers.get(old))).add(new Edge(edge.set, to));
                    }
                }
            }
            return nfa;
        }

        private TreeSet<Integer> closure(int state) {
            TreeSet<Integer> seen = new TreeSet<>();
            ArrayDeque<Integer> open = new ArrayDeque<>(List.of(state));
            while (!open.isEmpty()) {
                int s = open.remove();
                if (seen.add(s)) {
                    open.addAll(empty.get(s));
                }
            }
            return seen;
        }

        /** The state from which the expression leads to {@code target}. */
        private int part(Expression expression, int target) {
            return switch (expression) {
                case Expression.Chars(CodePoints set) -> {
                    int state = state();
                    edges.get(state).add(new Edge(set, target));
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
                        empty.get(state).add(part(option, target));
                    }
                    yield state;
                }
                case Expression.Repeat repeat -> repeat(repeat, target);
                case Expression.Rule rule -> throw new IllegalArgumentException("a rule in a pattern: " + rule.name());
                case Expression.Machine machine -> throw new IllegalArgumentException("a machine in a pattern");
            };
        }

        private int repeat(Expression.Repeat repeat, int target) {
            int next = target;
            if (repeat.most() == Expression.UNBOUNDED) {
                int loop = state();
                empty.get(loop).add(target);
                empty.get(loop).add(part(repeat.part(), loop));
                next = loop;
            } else {
                for (int i = repeat.least(); i < repeat.most(); i++) {
                    int skip = state();
                    empty.get(skip).add(target);
                    empty.get(skip).add(part(repeat.part(), next));
                    next = skip;
                }
            }
            for (int i = 0; i < repeat.least(); i++) {
                next = part(repeat.part(), next);
            }
            return next;
        }
    }
}
