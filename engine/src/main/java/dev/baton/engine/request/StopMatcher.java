package dev.baton.engine.request;

import dev.baton.engine.grammar.RegexSearch;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds stop strings and expressions in text that arrives in pieces. Text that may be the beginning of a match is held back,
 * so that no part of a match is ever sent.
 */
public final class StopMatcher {
    private final List<String> stops;
    private final List<String> patterns;
    private final List<RegexSearch> searches;
    private final boolean keepMatch;
    private final StringBuilder held = new StringBuilder();
    /** Characters that were released before those held. */
    private long released;

    private @Nullable String matched;

    /**
     * @param stops strings to look for, none empty
     * @param keepMatch the match and what follows it in the same piece stay in the text ({@code no_stop_trim})
     */
    public StopMatcher(List<String> stops, boolean keepMatch) {
        this(stops, List.of(), keepMatch);
    }

    /**
     * @param patterns regular expressions to look for beside the strings
     * @throws dev.baton.engine.EngineException INVALID_REQUEST when one cannot be served
     */
    public StopMatcher(List<String> stops, List<String> patterns, boolean keepMatch) {
        this.stops = stops.stream().filter(s -> !s.isEmpty()).toList();
        this.patterns = patterns;
        this.searches = patterns.stream().map(RegexSearch::new).toList();
        this.keepMatch = keepMatch;
    }

    /** Whether there is anything to look for. */
    public boolean looks() {
        return !stops.isEmpty() || !searches.isEmpty();
    }

    /** The text that may be sent now. */
    public String push(String piece) {
        if (!looks()) {
            return piece;
        }
        if (piece.isEmpty() || matched != null) {
            return "";
        }
        held.append(piece);
        int first = -1;
        for (String stop : stops) {
            int at = held.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
                matched = stop;
            }
        }
        int open = openSuffix();
        for (int i = 0; i < searches.size(); i++) {
            RegexSearch search = searches.get(i);
            long begin = piece.codePoints()
                    .mapToLong(search::next)
                    .filter(at -> at >= 0)
                    .min()
                    .orElse(-1);
            int at = (int) (begin - released);
            if (begin >= 0 && (first < 0 || at < first)) {
                first = Math.max(at, 0);
                matched = patterns.get(i);
            }
            open = Math.max(open, (int) (released + held.length() - search.open()));
        }
        return release(matched == null ? held.length() - open : keepMatch ? held.length() : first);
    }

    /** All that is held back, for an answer that ends for another reason. */
    public String remaining() {
        return release(held.length());
    }

    /** The stop string or expression that was found, or null. */
    public @Nullable String matched() {
        return matched;
    }

    private String release(int length) {
        if (length == 0) {
            return "";
        }
        String text = held.substring(0, length);
        held.delete(0, length);
        released += length;
        return text;
    }

    /** Length of the longest end of the held text that a stop string begins with. */
    private int openSuffix() {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
                if (endsWith(stop, n)) {
                    longest = n;
                    break;
                }
            }
        }
        return longest;
    }

    private boolean endsWith(String stop, int n) {
        int from = held.length() - n;
        for (int i = 0; i < n; i++) {
            if (held.charAt(from + i) != stop.charAt(i)) {
                return false;
            }
        }
        return true;
    }
}
