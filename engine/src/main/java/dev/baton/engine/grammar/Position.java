package dev.baton.engine.grammar;

import dev.baton.engine.EngineException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where a text stands in a grammar: every stack that it may have led to, and whether it may end here. The top of each stack
 * takes a byte. Immutable.
 */
final class Position {
    /** More ways to read one text than this: the grammar is too ambiguous to follow. */
    private static final int MAX_STACKS = 2_048;

    static final Position DEAD = new Position(new Frame[0], false);

    final Frame[] stacks;
    final boolean ends;
    private final int hash;

    private Position(Frame[] stacks, boolean ends) {
        this.stacks = stacks;
        this.ends = ends;
        int h = ends ? 1 : 0;
        for (Frame stack : stacks) {
            h += stack.hashCode();
        }
        this.hash = h;
    }

    boolean isDead() {
        return stacks.length == 0 && !ends;
    }

    /** What a state leads to without a byte, on an empty stack. */
    static Position enter(Program program, int state) {
        Builder builder = new Builder(program);
        builder.enter(state, null);
        return builder.build();
    }

    /** The one state, as it stands. */
    static Position of(int state) {
        return new Position(new Frame[] {new Frame(state, null)}, false);
    }

    /** After a byte of the class. */
    Position next(Program program, int byteClass) {
        Builder builder = new Builder(program);
        for (Frame stack : stacks) {
            int[] edges = program.edges[stack.state];
            for (int e = 0; e < edges.length; e += 3) {
                if (edges[e] <= byteClass && byteClass <= edges[e + 1]) {
                    builder.enter(edges[e + 2], stack.below);
                }
            }
        }
        return builder.build();
    }

    @Override
    public boolean equals(@Nullable Object o) {
        if (!(o instanceof Position other)
                || hash != other.hash
                || ends != other.ends
                || stacks.length != other.stacks.length) {
            return false;
        }
        for (Frame stack : stacks) {
            if (!contains(other.stacks, other.stacks.length, stack)) {
                return false;
            }
        }
        return true;
    }

    @Override
    public int hashCode() {
        return hash;
    }

    private static boolean contains(Frame[] stacks, int count, Frame stack) {
        for (int i = 0; i < count; i++) {
            if (stacks[i].equals(stack)) {
                return true;
            }
        }
        return false;
    }

    private static final class Builder {
        private final Program program;
        private Frame[] stacks = new Frame[4];
        private int count;
        private boolean ends;

        Builder(Program program) {
            this.program = program;
        }

        void enter(int state, @Nullable Frame below) {
            int at = state;
            Frame base = below;
            while (true) {
                Program.Closure closure = program.closure(at);
                for (int[] stack : closure.stacks()) {
                    Frame top = base;
                    for (int pushed : stack) {
                        top = new Frame(pushed, top);
                    }
                    add(java.util.Objects.requireNonNull(top));
                }
                if (!closure.ends()) {
                    return;
                }
                if (base == null) {
                    ends = true;
                    return;
                }
                at = base.state;
                base = base.below;
            }
        }

        private void add(Frame stack) {
            if (contains(stacks, count, stack)) {
                return;
            }
            if (count == stacks.length) {
                if (count >= MAX_STACKS) {
                    throw new EngineException(
                            EngineException.Code.INVALID_REQUEST,
                            "the grammar is too ambiguous: a text can be read in more than " + MAX_STACKS + " ways");
                }
                stacks = Arrays.copyOf(stacks, 2 * count);
            }
            stacks[count++] = stack;
        }

        Position build() {
            return count == 0 && !ends ? DEAD : new Position(Arrays.copyOf(stacks, count), ends);
        }
    }
}
