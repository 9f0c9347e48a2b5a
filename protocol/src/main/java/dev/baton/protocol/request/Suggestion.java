package dev.baton.protocol.request;

import java.util.Collection;
import java.util.List;
import java.util.Locale;

/** The known name that an unknown one most likely meant. */
public final class Suggestion {
    private Suggestion() {}

    /** {@code " Did you mean 'x'?"}, or nothing when no known name is near. */
    public static String text(String unknown, Collection<String> known) {
        String best = "";
        int bestDistance = Math.max(1, unknown.length() / 3) + 1;
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
        return best.isEmpty() ? "" : " Did you mean '" + best + "'?";
    }

    private static String plain(String name) {
        return name.replace("_", "").replace("-", "").toLowerCase(Locale.ROOT);
    }

    /** {@code max_new_tokens} holds the words of {@code max_tokens}. */
    private static boolean holdsWordsOf(String name, String unknown) {
        List<String> words = List.of(unknown.split("[_-]"));
        return words.size() > 1 && List.of(name.split("[_-]")).containsAll(words);
    }

    /** Levenshtein's distance; any value of at least {@code limit} stands for "too far". */
    private static int distance(String a, String b, int limit) {
        if (Math.abs(a.length() - b.length()) >= limit || a.length() > 100) {
            return limit;
        }
        int[] previous = new int[b.length() + 1];
        int[] current = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            previous[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            current[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int change = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                current[j] = Math.min(Math.min(current[j - 1], previous[j]) + 1, previous[j - 1] + change);
            }
            int[] swap = previous;
            previous = current;
            current = swap;
        }
        return previous[b.length()];
    }
}
