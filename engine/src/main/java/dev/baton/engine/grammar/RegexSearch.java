package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Looks for a regular expression in text that arrives piece by piece: every way in which a match may have begun is followed
 * at once, so the work for a character is bounded by the expression's size, whatever it is.
 */
public final class RegexSearch {
    private static final long NONE = Long.MAX_VALUE;

    private final List<CharNfa> machines = new ArrayList<>();
    private final List<Boolean> fromStart = new ArrayList<>();
    /** By machine, by state: where the earliest match that stands there began. */
    private final List<long[]> begun = new ArrayList<>();

    private long position;
    private long earliest = NONE;

    /**
     * @param pattern as {@code stop_regex} takes it
     * @throws dev.baton.engine.EngineException INVALID_REQUEST naming what cannot be served
     */
    public RegexSearch(String pattern) {
        for (RegexParser.Alternative alternative : RegexParser.alternatives(pattern, "stop_regex")) {
            if (alternative.toEnd()) {
                throw GrammarFault.of("stop_regex", "'$' is not supported: a text that still grows has no end");
            }
            CharNfa nfa = CharNfa.of(alternative.body());
            if (nfa.ends.getFirst()) {
                throw GrammarFault.of("stop_regex", "/" + pattern + "/ matches the empty text");
            }
            machines.add(nfa);
            fromStart.add(alternative.fromStart());
            long[] states = new long[nfa.size()];
            Arrays.fill(states, NONE);
            begun.add(states);
        }
    }

    /**
     * Takes the next character.
     *
     * @return where a match that ends with it begins, in characters from the start; -1 for none
     */
    public long next(int codePoint) {
        long found = NONE;
        earliest = NONE;
        for (int m = 0; m < machines.size(); m++) {
            CharNfa nfa = machines.get(m);
            long[] from = begun.get(m);
            if (!fromStart.get(m) || position == 0) {
                from[0] = Math.min(from[0], position);
            }
            long[] to = new long[from.length];
            Arrays.fill(to, NONE);
            for (int s = 0; s < from.length; s++) {
                for (CharNfa.Edge edge : from[s] == NONE ? List.<CharNfa.Edge>of() : nfa.edges.get(s)) {
                    if (edge.set().contains(codePoint)) {
                        to[edge.target()] = Math.min(to[edge.target()], from[s]);
                    }
                }
            }
            for (int s = 0; s < to.length; s++) {
                earliest = Math.min(earliest, to[s]);
                if (nfa.ends.get(s)) {
                    found = Math.min(found, to[s]);
                }
            }
            begun.set(m, to);
        }
        position += Character.charCount(codePoint);
        return found == NONE ? -1 : found;
    }

    /** Where the earliest match that may still come has begun; the number of characters taken when there is none. */
    public long open() {
        return Math.min(earliest, position);
    }
}
