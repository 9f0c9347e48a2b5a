package dev.baton.engine.arch;

/**
 * A pipeline stage: a contiguous part of the layers.
 *
 * @param index 0 to size - 1
 * @param size stages
 */
public record Stage(int index, int size) {
    /** All layers. */
    public static final Stage WHOLE = new Stage(0, 1);

    /** Holds the embedding. */
    public boolean isFirst() {
        return index == 0;
    }

    /** Holds the final norm and the output projection. */
    public boolean isLast() {
        return index == size - 1;
    }
}
