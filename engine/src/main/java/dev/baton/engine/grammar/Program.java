package dev.baton.engine.grammar;

/**
 * A pushdown automaton over bytes. A state has edges that a byte takes, calls of rules (the rule's first state is entered, and
 * when the rule ends, the call's target), and may be the end of its rule. Every state can reach the end of its rule, so no
 * text that it has taken is a dead end. Immutable.
 *
 * <p>Bytes fall into classes of which every edge takes all or none; classes are intervals and in the order of the bytes.
 */
final class Program {
    /** [256] class of a byte. */
    final int[] classOf;

    final int classes;
    final int start;
    /** [states][3 n] first class, last class, target; not overlapping in a deterministic rule. */
    final int[][] edges;
    /** [states][2 n] first state of the rule, target. */
    final int[][] calls;
    /** [states] the rule may end here. */
    final boolean[] ends;
    /** [states] */
    private final Closure[] closures;

    /**
     * Where a state leads without a byte.
     *
     * @param stacks states to push, the last one on top; each top takes a byte
     * @param ends the rule may end
     */
    record Closure(int[][] stacks, boolean ends) {}

    Program(int[] classOf, int start, int[][] edges, int[][] calls, boolean[] ends, Closure[] closures) {
        this.classOf = classOf;
        this.classes = classOf[255] + 1;
        this.start = start;
        this.edges = edges;
        this.calls = calls;
        this.ends = ends;
        this.closures = closures;
    }

    int states() {
        return edges.length;
    }

    Closure closure(int state) {
        return closures[state];
    }

    /** A state that is the end and nothing else: what stands below it on the stack is meant. */
    static boolean isLast(int[] edges, int[] calls, boolean end) {
        return end && edges.length == 0 && calls.length == 0;
    }
}
