package dev.baton.model.tokenizer;

import java.util.Arrays;

/** The merges of a BPE: (left id, right id) to rank and merged id, open addressing at a load of at most one half. */
final class MergeTable {
    /** What {@link #find} answers when two tokens do not merge. */
    static final long NONE = Long.MAX_VALUE;

    private static final long EMPTY = -1;

    private final int mask;
    /** left << 32 | right. */
    private final long[] keys;
    /** rank << 32 | merged id. */
    private final long[] values;

    MergeTable(int merges) {
        int capacity = Integer.highestOneBit(Math.max(merges, 8) * 2 - 1) * 2;
        mask = capacity - 1;
        keys = new long[capacity];
        values = new long[capacity];
        Arrays.fill(keys, EMPTY);
    }

    void put(int left, int right, int rank, int merged) {
        long key = (long) left << 32 | right;
        int at = slot(key);
        while (keys[at] != EMPTY && keys[at] != key) {
            at = at + 1 & mask;
        }
        keys[at] = key;
        values[at] = (long) rank << 32 | merged;
    }

    /** rank << 32 | merged id, or {@link #NONE}; the lesser value merges first. */
    long find(int left, int right) {
        long key = (long) left << 32 | right;
        int at = slot(key);
        while (true) {
            long found = keys[at];
            if (found == key) {
                return values[at];
            }
            if (found == EMPTY) {
                return NONE;
            }
            at = at + 1 & mask;
        }
    }

    private int slot(long key) {
        long hash = key * 0x9E3779B97F4A7C15L;
        return (int) (hash >>> 32 ^ hash >>> 52) & mask;
    }
}
