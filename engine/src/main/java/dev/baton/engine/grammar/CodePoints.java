package dev.baton.engine.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** An immutable set of Unicode scalar values (no surrogates: they have no UTF-8), as sorted disjoint ranges. */
final class CodePoints {
    private static final int[] SCALARS = {0, 0xD7FF, 0xE000, 0x10FFFF};

    static final CodePoints ALL = new CodePoints(SCALARS);
    static final CodePoints NONE = new CodePoints(new int[0]);

    /** first, last, first, last, ... */
    private final int[] ranges;

    private CodePoints(int[] ranges) {
        this.ranges = ranges;
    }

    static CodePoints of(int codePoint) {
        return range(codePoint, codePoint);
    }

    /** {@code first} to {@code last}, both included. */
    static CodePoints range(int first, int last) {
        return normal(List.of(new int[] {first, last}));
    }

    /** Every code point of a text. */
    static CodePoints ofAll(String text) {
        return normal(text.codePoints().mapToObj(c -> new int[] {c, c}).toList());
    }

    CodePoints or(CodePoints other) {
        List<int[]> all = new ArrayList<>();
        for (CodePoints set : new CodePoints[] {this, other}) {
            for (int i = 0; i < set.ranges.length; i += 2) {
                all.add(new int[] {set.ranges[i], set.ranges[i + 1]});
            }
        }
        return normal(all);
    }

    /** With further ranges, each {first, last}. */
    CodePoints orRanges(List<int[]> more) {
        return or(normal(more));
    }

    CodePoints not() {
        List<int[]> gaps = new ArrayList<>();
        int next = 0;
        for (int i = 0; i < ranges.length; i += 2) {
            if (ranges[i] > next) {
                gaps.add(new int[] {next, ranges[i] - 1});
            }
            next = ranges[i + 1] + 1;
        }
        if (next <= 0x10FFFF) {
            gaps.add(new int[] {next, 0x10FFFF});
        }
        return normal(gaps);
    }

    CodePoints and(CodePoints other) {
        List<int[]> both = new ArrayList<>();
        int i = 0;
        int j = 0;
        while (i < ranges.length && j < other.ranges.length) {
            int first = Math.max(ranges[i], other.ranges[j]);
            int last = Math.min(ranges[i + 1], other.ranges[j + 1]);
            if (first <= last) {
                both.add(new int[] {first, last});
            }
            if (ranges[i + 1] < other.ranges[j + 1]) {
                i += 2;
            } else {
                j += 2;
            }
        }
        return normal(both);
    }

    boolean isEmpty() {
        return ranges.length == 0;
    }

    boolean contains(int codePoint) {
        for (int i = 0; i < ranges.length; i += 2) {
            if (codePoint <= ranges[i + 1]) {
                return codePoint >= ranges[i];
            }
        }
        return false;
    }

    int rangeCount() {
        return ranges.length / 2;
    }

    int first(int range) {
        return ranges[2 * range];
    }

    int last(int range) {
        return ranges[2 * range + 1];
    }

    /** Sorts, merges and takes the surrogates out. */
    private static CodePoints normal(List<int[]> list) {
        List<int[]> sorted = new ArrayList<>();
        for (int[] range : list) {
            for (int i = 0; i < SCALARS.length; i += 2) {
                int first = Math.max(range[0], SCALARS[i]);
                int last = Math.min(range[1], SCALARS[i + 1]);
                if (first <= last) {
                    sorted.add(new int[] {first, last});
                }
            }
        }
        sorted.sort((a, b) -> Integer.compare(a[0], b[0]));
        int[] out = new int[2 * sorted.size()];
        int n = 0;
        for (int[] range : sorted) {
            if (n > 0 && range[0] <= out[n - 1] + 1) {
                out[n - 1] = Math.max(out[n - 1], range[1]);
            } else {
                out[n++] = range[0];
                out[n++] = range[1];
            }
        }
        return new CodePoints(Arrays.copyOf(out, n));
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof CodePoints other && Arrays.equals(ranges, other.ranges);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(ranges);
    }

    @Override
    public String toString() {
        return Arrays.toString(ranges);
    }
}
