package dev.baton.engine.disagg.transfer;

/**
 * Consecutive layers of a model, numbered from 0 over all pipeline stages.
 *
 * @param first first layer
 * @param end one past the last layer
 */
public record LayerRange(int first, int end) {
    /** Every layer of any model. */
    public static final LayerRange ALL = new LayerRange(0, Integer.MAX_VALUE);

    public LayerRange {
        if (first < 0 || end <= first) {
            throw new IllegalArgumentException("layers [" + first + ", " + end + ") are none");
        }
    }

    /** How many. */
    public int count() {
        return end - first;
    }

    /** Whether the layer is one of them. */
    public boolean contains(int layer) {
        return first <= layer && layer < end;
    }

    /** Whether all layers of the other range are among them. */
    public boolean containsAll(LayerRange other) {
        return first <= other.first && other.end <= end;
    }

    @Override
    public String toString() {
        return "[" + first + ", " + end + ")";
    }
}
