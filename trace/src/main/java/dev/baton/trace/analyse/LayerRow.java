package dev.baton.trace.analyse;

import dev.baton.trace.classify.KernelClass;
import java.util.Map;

/**
 * One layer, as the median over the steps.
 *
 * @param layer counted from 0 over all layers of the model
 * @param spanNanos from the layer's beginning to the next one's
 * @param classNanos sum of the durations of each class
 */
public record LayerRow(int layer, long spanNanos, Map<KernelClass, Long> classNanos) {
    public LayerRow {
        classNanos = Map.copyOf(classNanos);
    }

    /** Sum of durations of a class. */
    public long nanos(KernelClass kernelClass) {
        return classNanos.getOrDefault(kernelClass, 0L);
    }
}
