package dev.baton.trace.analyse;

import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.step.StepKind;
import dev.baton.trace.step.Work;
import java.util.Arrays;
import java.util.List;

/**
 * Everything that one device of one trace says by itself.
 *
 * @param work what was analysed
 * @param rank number of the rank
 * @param stepKind how steps were found
 * @param steps figures of each step, by start
 * @param classes with most time first
 * @param kernels with most time first
 * @param layers empty when no repetition shows layers
 * @param layerStartNanos for each step where its layers begin; empty arrays when no repetition shows layers
 * @param kernelClasses class of every name id of the trace
 * @param notes what a reader must know
 */
public record RankAnalysis(
        Work work,
        int rank,
        StepKind stepKind,
        List<StepMetrics> steps,
        List<ClassTotal> classes,
        List<KernelTotal> kernels,
        List<LayerRow> layers,
        List<long[]> layerStartNanos,
        KernelClass[] kernelClasses,
        List<String> notes) {
    /** The file, and the part or device of it. */
    public String displayName() {
        return work.trace().displayName();
    }

    /** Number of the step that runs at {@code nanos}, -1 when none does. */
    public int stepAt(long nanos) {
        int low = 0;
        int high = steps.size() - 1;
        while (low < high) {
            int middle = (low + high + 1) >>> 1;
            if (steps.get(middle).step().startNanos() <= nanos) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        boolean isInside = high >= 0
                && nanos >= steps.get(low).step().startNanos()
                && nanos < steps.get(low).step().endNanos();
        return isInside ? low : -1;
    }

    /** Number of the layer of step {@code step} that runs at {@code nanos}, -1 when the trace shows none. */
    public int layerAt(int step, long nanos) {
        if (step < 0 || layerStartNanos.get(step).length == 0) {
            return -1;
        }
        int at = Arrays.binarySearch(layerStartNanos.get(step), nanos);
        return Math.max(0, at >= 0 ? at : -at - 2);
    }

    /** The class of an event. */
    public KernelClass classOf(int event) {
        return kernelClasses[work.trace().events().nameId(event)];
    }
}
