package dev.baton.cuda;

import dev.baton.cuda.driver.TensorMap;
import dev.baton.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** Tensor maps that have been made: a few for every weight, and the tokens of steps often lie at one address. */
final class TensorMaps {
    private static final int MOST = 8192;

    /**
     * What a map depends on.
     *
     * @param form how the rows are walked, an {@code Integer} for so many rows a box as they lie
     */
    record Key(long address, int rows, int columns, long stride, Object form) {
        private static Key of(Tensor tensor, Object form) {
            return new Key(tensor.memory().address(), tensor.rows(), tensor.columns(), tensor.rowStride(), form);
        }

        /** Bytes from one row to the next. */
        long rowBytes() {
            return 2 * stride;
        }
    }

    private final Map<Key, TensorMap> maps = new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Key, TensorMap> eldest) {
            return size() > MOST;
        }
    };

    /** So many rows of {@link TensorMap#ROW} elements a box. */
    TensorMap rows(Tensor tensor, int box) {
        return of(
                tensor,
                box,
                key -> TensorMap.of(
                        key.address, new long[] {key.columns, key.rows}, new long[] {key.rowBytes()}, new int[] {
                            TensorMap.ROW, box
                        }));
    }

    /** A map of another form, made where there is none yet. */
    TensorMap of(Tensor tensor, Object form, Function<Key, TensorMap> encode) {
        return maps.computeIfAbsent(Key.of(tensor, form), encode);
    }
}
