package dev.baton.model.tokenizer;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/** A bounded cache of words and their ids: one entry a slot, the newer replaces the older. Lock-free. */
final class WordCache {
    private static final int SLOTS = 1 << 15;
    /** Longer words are rare and would make the cache's size unbounded. */
    private static final int MAX_CHARS = 48;

    private record Entry(int hash, String word, int[] ids) {}

    private final AtomicReferenceArray<@Nullable Entry> entries = new AtomicReferenceArray<>(SLOTS);

    static int hash(String text, int from, int to) {
        int hash = to - from;
        for (int i = from; i < to; i++) {
            hash = hash * 31 + text.charAt(i);
        }
        return hash ^ hash >>> 15;
    }

    int @Nullable [] find(String text, int from, int to, int hash) {
        Entry entry = entries.getPlain(hash & SLOTS - 1);
        if (entry == null
                || entry.hash != hash
                || entry.word.length() != to - from
                || !text.startsWith(entry.word, from)) {
            return null;
        }
        return entry.ids;
    }

    void put(String text, int from, int to, int hash, int[] ids) {
        if (to - from <= MAX_CHARS) {
            entries.setRelease(hash & SLOTS - 1, new Entry(hash, text.substring(from, to), ids));
        }
    }
}
