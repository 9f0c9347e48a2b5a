package dev.baton.protocol;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The known name that an unknown one most likely meant. */
public final class Suggestion {
    /** Longer names are no slips of the keys. */
    private static final int LONGEST = 100;

    private Suggestion() {}

    /**
     * The known name nearest to {@code unknown}: the same but for case, dashes and underscores; one that holds all its
     * words ({@code max_new_tokens} for {@code max_tokens}); or one within an edit distance of a third of its length, at
     * least 2.
     */
    public static Optional<String> of(String unknown, Iterable<String> known) {
        String best = null;
        int bestDistance = Math.max(2, unknown.length() / 3) + 1;
        for (String name : known) {
            int distance = plain(name).equals(plain(unknown)) ? 0 : distance(unknown, name, bestDistance);
            if (distance > 1 && holdsWordsOf(name, unknown)) {
                distance = 1;
            }
            if (distance < bestDistance) {
                bestDistance = distance;
                best = name;
            }
        }
        return Optional.ofNullable(best);
    }

    private static String plain(String name) {
        return name.replace("_", "").replace("-", "").toLowerCase(Locale.ROOT);
    }

    private static boolean holdsWordsOf(String name, String unknown) {
        List<String> words = List.of(unknown.split("[_-]"));
        return words.size() > 1 && List.of(name.split("[_-]")).containsAll(words);
    }

    /** Levenshtein's distance; any value of at least {@code limit} stands for "too far". */
    private static int distance(String a, String b, int limit) {
        if (Math.abs(a.length() - b.length()) >= limit || a.length() > LONGEST) {
            return limit;
        }
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int changed = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(changed, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
