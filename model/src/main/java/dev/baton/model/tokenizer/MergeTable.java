package dev.baton.model.tokenizer;

import java.util.Arrays;
import tools.jackson.databind.JsonNode;

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

    /** Reads {@code model.merges}: pairs, or two tokens with a space between. */
    static MergeTable of(JsonNode merges, TokenTable table, String origin) {
        MergeTable merged = new MergeTable(merges.size());
        int rank = 0;
        for (JsonNode merge : merges) {
            String left;
            String right;
            if (merge.isArray() && merge.size() == 2) {
                left = merge.get(0).asString();
                right = merge.get(1).asString();
            } else {
                String both = merge.asString("");
                int space = both.indexOf(' ');
                if (space < 0) {
                    throw TokenTable.invalid(origin, "merge " + rank + " is " + merge + ", not two tokens");
                }
                left = both.substring(0, space);
                right = both.substring(space + 1);
            }
            int leftId = table.idOf(left);
            int rightId = table.idOf(right);
            int id = table.idOf(left + right);
            if (leftId < 0 || rightId < 0 || id < 0) {
                throw TokenTable.invalid(origin, "merge " + rank + " (" + merge + ") has a token without an id");
            }
            merged.put(leftId, rightId, rank++, id);
        }
        return merged;
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
