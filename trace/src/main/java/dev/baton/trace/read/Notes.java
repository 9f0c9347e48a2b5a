package dev.baton.trace.read;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Remarks collected while reading: repeated ones are counted, with the place of the first. */
final class Notes {
    private final List<String> once = new ArrayList<>();
    private final Map<String, long[]> counted = new LinkedHashMap<>();

    void add(String note) {
        once.add(note);
    }

    /** One more of a kind; {@code where} is the event's position in the file. */
    void count(String kind, long where) {
        counted.computeIfAbsent(kind, k -> new long[] {0, where})[0]++;
    }

    List<String> list() {
        List<String> all = new ArrayList<>(once);
        counted.forEach((kind, n) -> all.add(n[0] + " " + kind + " (first: event " + n[1] + ")"));
        return all;
    }
}
