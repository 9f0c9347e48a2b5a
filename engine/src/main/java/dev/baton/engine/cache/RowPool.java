package dev.baton.engine.cache;

import dev.baton.engine.EngineException;
import java.util.BitSet;

/** The rows of the ranks' slot table and token pool: one for each request that holds cache. Not thread safe. */
public final class RowPool {
    private final int[] stack;
    private final BitSet taken = new BitSet();
    private int free;

    /** Rows 0 to {@code rows - 1}. */
    public RowPool(int rows) {
        stack = new int[rows];
        for (int i = 0; i < rows; i++) {
            stack[i] = rows - 1 - i;
        }
        free = rows;
    }

    public int rows() {
        return stack.length;
    }

    public int freeRows() {
        return free;
    }

    /** A free row, or -1 when there is none. */
    public int take() {
        if (free == 0) {
            return -1;
        }
        int row = stack[--free];
        taken.set(row);
        return row;
    }

    /**
     * Gives a row back.
     *
     * @throws EngineException INTERNAL when nobody holds it
     */
    public void free(int row) {
        if (row < 0 || !taken.get(row)) {
            throw new EngineException(EngineException.Code.INTERNAL, "row " + row + " is freed but nobody holds it");
        }
        taken.clear(row);
        stack[free++] = row;
    }
}
