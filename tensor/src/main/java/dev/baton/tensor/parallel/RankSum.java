package dev.baton.tensor.parallel;

import dev.baton.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Sums of the ranks' tensors, element by element in rank order: whoever sums, and however the elements are shared out,
 * the bits are the same. F32; allocates nothing; one thread.
 */
final class RankSum {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private final MemorySegment[] inputs;
    private final long[] inputOffsets;
    private final MemorySegment[] targets;
    private final long[] targetOffsets;

    /** @param ranks most tensors that are summed or written */
    RankSum(int ranks) {
        this.inputs = new MemorySegment[ranks];
        this.inputOffsets = new long[ranks];
        this.targets = new MemorySegment[ranks];
        this.targetOffsets = new long[ranks];
    }

    /** Elements {@code [from, to)}, counted row by row, of every {@code from}: their sum goes to every {@code into}. */
    void elements(Tensor[] from, Tensor[] into, long first, long end) {
        int columns = from[0].columns();
        long at = first;
        while (at < end) {
            long row = at / columns;
            int column = (int) (at % columns);
            int count = (int) Math.min(end - at, columns - column);
            row(from, row, into, row, column, count);
            at += count;
        }
    }

    /** Columns {@code [column, column + count)} of one row of every {@code from}: their sum goes to every {@code into}. */
    void row(Tensor[] from, long fromRow, Tensor[] into, long intoRow, int column, int count) {
        for (int r = 0; r < from.length; r++) {
            inputs[r] = from[r].memory();
            inputOffsets[r] = (fromRow * from[r].rowStride() + column) * Float.BYTES;
        }
        for (int t = 0; t < into.length; t++) {
            targets[t] = into[t].memory();
            targetOffsets[t] = (intoRow * into[t].rowStride() + column) * Float.BYTES;
        }
        int lanes = SPECIES.length();
        int i = 0;
        for (; i + lanes <= count; i += lanes) {
            long at = (long) i * Float.BYTES;
            FloatVector sum = FloatVector.fromMemorySegment(SPECIES, inputs[0], inputOffsets[0] + at, ORDER);
            for (int r = 1; r < from.length; r++) {
                sum = sum.add(FloatVector.fromMemorySegment(SPECIES, inputs[r], inputOffsets[r] + at, ORDER));
            }
            for (int t = 0; t < into.length; t++) {
                sum.intoMemorySegment(targets[t], targetOffsets[t] + at, ORDER);
            }
        }
        for (; i < count; i++) {
            long at = (long) i * Float.BYTES;
            float sum = inputs[0].get(ValueLayout.JAVA_FLOAT_UNALIGNED, inputOffsets[0] + at);
            for (int r = 1; r < from.length; r++) {
                sum += inputs[r].get(ValueLayout.JAVA_FLOAT_UNALIGNED, inputOffsets[r] + at);
            }
            for (int t = 0; t < into.length; t++) {
                targets[t].set(ValueLayout.JAVA_FLOAT_UNALIGNED, targetOffsets[t] + at, sum);
            }
        }
    }
}
