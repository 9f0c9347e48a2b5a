package dev.baton.model.tokenizer;

import java.util.Arrays;

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016): while any neighbours merge, the pair of least rank does,
 * leftmost first. Short words scan, long ones keep a heap, so that no input costs more than n log n.
 */
final class BpeMerger {
    /** Symbols up to which scanning is faster than a heap. */
    private static final int SCAN_LIMIT = 64;

    private final MergeTable merges;

    BpeMerger(MergeTable merges) {
        this.merges = merges;
    }

    /** Merges {@code ids[0, count)} in place and answers how many remain. */
    int merge(int[] ids, int count) {
        return count <= SCAN_LIMIT ? scan(ids, count) : heap(ids, count);
    }

    private int scan(int[] ids, int symbols) {
        int count = symbols;
        // pairs[i]: the merge of ids[i] and ids[i + 1]
        long[] pairs = new long[Math.max(count - 1, 0)];
        for (int i = 0; i + 1 < count; i++) {
            pairs[i] = merges.find(ids[i], ids[i + 1]);
        }
        while (count > 1) {
            int best = 0;
            for (int i = 1; i < count - 1; i++) {
                if (pairs[i] < pairs[best]) {
                    best = i;
                }
            }
            if (pairs[best] == MergeTable.NONE) {
                break;
            }
            ids[best] = (int) pairs[best];
            System.arraycopy(ids, best + 2, ids, best + 1, count - best - 2);
            if (best + 2 < count) {
                System.arraycopy(pairs, best + 2, pairs, best + 1, Math.max(count - best - 3, 0));
            }
            count--;
            if (best > 0) {
                pairs[best - 1] = merges.find(ids[best - 1], ids[best]);
            }
            if (best + 1 < count) {
                pairs[best] = merges.find(ids[best], ids[best + 1]);
            }
        }
        return count;
    }

    private int heap(int[] ids, int count) {
        int[] next = new int[count];
        int[] previous = new int[count];
        Heap heap = new Heap(count);
        for (int i = 0; i < count; i++) {
            next[i] = i + 1 < count ? i + 1 : -1;
            previous[i] = i - 1;
            if (i + 1 < count) {
                push(heap, ids, i, i + 1);
            }
        }
        while (heap.size > 0) {
            long entry = heap.poll();
            int left = (int) entry;
            int right = ids[left] < 0 ? -1 : next[left];
            if (right < 0) {
                continue;
            }
            long pair = merges.find(ids[left], ids[right]);
            // An entry whose rank is not that of the present pair was overtaken by another merge.
            if (pair == MergeTable.NONE || pair >>> 32 != entry >>> 32) {
                continue;
            }
            ids[left] = (int) pair;
            ids[right] = -1;
            next[left] = next[right];
            if (next[right] >= 0) {
                previous[next[right]] = left;
                push(heap, ids, left, next[left]);
            }
            if (previous[left] >= 0) {
                push(heap, ids, previous[left], left);
            }
        }
        int kept = 0;
        for (int i = 0; i >= 0; i = next[i]) {
            ids[kept++] = ids[i];
        }
        return kept;
    }

    private void push(Heap heap, int[] ids, int left, int right) {
        long pair = merges.find(ids[left], ids[right]);
        if (pair != MergeTable.NONE) {
            heap.push(pair & 0xFFFFFFFF00000000L | left);
        }
    }

    /** A binary heap of rank << 32 | position. */
    private static final class Heap {
        private long[] entries;
        private int size;

        Heap(int capacity) {
            entries = new long[capacity + 1];
        }

        void push(long entry) {
            if (size == entries.length) {
                entries = Arrays.copyOf(entries, size * 2);
            }
            int at = size++;
            while (at > 0 && entries[at - 1 >>> 1] > entry) {
                entries[at] = entries[at - 1 >>> 1];
                at = at - 1 >>> 1;
            }
            entries[at] = entry;
        }

        long poll() {
            long least = entries[0];
            long last = entries[--size];
            int at = 0;
            while (true) {
                int child = 2 * at + 1;
                if (child >= size) {
                    break;
                }
                if (child + 1 < size && entries[child + 1] < entries[child]) {
                    child++;
                }
                if (entries[child] >= last) {
                    break;
                }
                entries[at] = entries[child];
                at = child;
            }
            entries[at] = last;
            return least;
        }
    }
}
