package dev.baton.engine.balance;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/** The last passes' counts [layer][expert]. Not safe for threads: its owner has a lock. */
final class CountWindow {
    /** -1: all. */
    private final int mostPasses;

    private final ArrayDeque<int[][]> passes = new ArrayDeque<>();

    CountWindow(int mostPasses) {
        this.mostPasses = mostPasses;
    }

    /** @param counts [layer][expert]; the window keeps it */
    void add(int[][] counts) {
        if (mostPasses >= 0 && passes.size() == mostPasses) {
            passes.removeFirst();
        }
        passes.addLast(counts);
    }

    int size() {
        return passes.size();
    }

    void clear() {
        passes.clear();
    }

    /** [layer][expert], all passes together. */
    long[][] sum(int layers, int experts) {
        long[][] sum = new long[layers][experts];
        for (int[][] pass : passes) {
            for (int layer = 0; layer < layers; layer++) {
                for (int e = 0; e < experts; e++) {
                    sum[layer][e] += pass[layer][e];
                }
            }
        }
        return sum;
    }

    /** Every pass, oldest first; the window is empty afterwards. */
    List<int[][]> take() {
        List<int[][]> taken = new ArrayList<>(passes);
        passes.clear();
        return taken;
    }
}
