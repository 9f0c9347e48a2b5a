package dev.baton.engine.grammar;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/** Which states may lie directly below a state on a stack that some text leads to. */
final class Adjacency {
    private final Program program;
    private final int[][] under;
    private final Set<Long> known = new HashSet<>();
    private final ArrayDeque<Long> open = new ArrayDeque<>();

    private Adjacency(Program program) {
        this.program = program;
        this.under = new int[program.states()][0];
    }

    /** [states] states that may lie below each; not all of them when the time is over before. */
    static int[][] of(Program program, Deadline until) {
        Adjacency adjacency = new Adjacency(program);
        for (int state = 0; state < program.states() && !until.isOver(); state++) {
            for (int[] stack : program.closure(state).stacks()) {
                for (int i = 1; i < stack.length; i++) {
                    adjacency.add(stack[i], stack[i - 1]);
                }
            }
        }
        for (Long pair = adjacency.open.poll(); pair != null && !until.isOver(); pair = adjacency.open.poll()) {
            adjacency.follow((int) (pair >> 32), (int) (long) pair);
        }
        return adjacency.under;
    }

    /** What takes the upper state's place when it takes a byte, or when what stood on it has ended. */
    private void follow(int upper, int lower) {
        enter(upper, lower);
        int[] edges = program.edges[upper];
        for (int e = 0; e < edges.length; e += 3) {
            enter(edges[e + 2], lower);
        }
    }

    private void enter(int state, int lower) {
        for (int[] stack : program.closure(state).stacks()) {
            add(stack[0], lower);
        }
    }

    private void add(int upper, int lower) {
        long pair = (long) upper << 32 | lower;
        if (known.add(pair)) {
            under[upper] = Arrays.copyOf(under[upper], under[upper].length + 1);
            under[upper][under[upper].length - 1] = lower;
            open.add(pair);
        }
    }
}
