package dev.baton.trace.analyse;

import java.util.Arrays;

/** Time spans collected one by one, and the length of their union. Half open: [start, end). */
public final class Intervals {
    private long[] starts = new long[64];
    private long[] ends = new long[64];
    private int size;

    /** Adds a span; an empty one changes nothing. */
    public void add(long start, long end) {
        if (end <= start) {
            return;
        }
        if (size == starts.length) {
            starts = Arrays.copyOf(starts, 2 * size);
            ends = Arrays.copyOf(ends, 2 * size);
        }
        starts[size] = start;
        ends[size++] = end;
    }

    /** How much time lies in at least one span. */
    public long union() {
        sort();
        long total = 0;
        long reached = Long.MIN_VALUE;
        for (int i = 0; i < size; i++) {
            if (ends[i] > reached) {
                total += ends[i] - Math.max(starts[i], reached);
                reached = ends[i];
            }
        }
        return total;
    }

    /** How much time lies in a span of this and in a span of the other. */
    public long intersection(Intervals other) {
        Intervals both = new Intervals();
        for (int i = 0; i < size; i++) {
            both.add(starts[i], ends[i]);
        }
        for (int i = 0; i < other.size; i++) {
            both.add(other.starts[i], other.ends[i]);
        }
        return union() + other.union() - both.union();
    }

    private void sort() {
        for (int i = 1; i < size; i++) {
            if (starts[i] < starts[i - 1]) {
                sortByStart();
                return;
            }
        }
    }

    private void sortByStart() {
        Integer[] order = new Integer[size];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> Long.compare(starts[a], starts[b]));
        long[] s = new long[size];
        long[] t = new long[size];
        for (int i = 0; i < size; i++) {
            s[i] = starts[order[i]];
            t[i] = ends[order[i]];
        }
        starts = s;
        ends = t;
    }
}
