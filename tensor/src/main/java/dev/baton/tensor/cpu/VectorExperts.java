package dev.baton.tensor.cpu;

import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.Tensor;
import java.util.Arrays;

/**
 * The experts of a mixture: tokens are grouped by expert, each group is three matrix products, results are added to a
 * token's row in ascending expert order. Two parallel phases: every thread computes its share of the intermediate
 * features of all experts, then its share of the hidden columns.
 */
final class VectorExperts {
    private final Scratch.Block inner;
    private final CpuWorkers.Task upTask = this::up;
    private final CpuWorkers.Task downTask = this::down;

    /** First pair of each local expert, and one past the last. */
    private int[] starts = new int[0];
    /** Token of each (token, expert) pair, grouped by expert, tokens ascending. */
    private int[] tokens = new int[0];

    private float[] factors = new float[0];
    private ExpertWeights experts;
    private Tensor x;
    private Tensor out;
    private int intermediate;

    VectorExperts(Tensor placeholder, ExpertWeights none, Scratch.Block inner) {
        this.inner = inner;
        x = placeholder;
        out = placeholder;
        experts = none;
    }

    void run(
            Tensor x,
            Tensor ids,
            Tensor weights,
            ExpertWeights experts,
            Tensor out,
            CpuWorkers workers,
            long parallelWork) {
        this.x = x;
        this.out = out;
        this.experts = experts;
        int pairs = group(ids, weights);
        intermediate = experts.count() == 0 ? 0 : experts.gate().getFirst().outFeatures();
        // Gate outputs [pairs, intermediate], then up outputs; the product ends in the first.
        inner.ensure(2 * 4L * pairs * intermediate);
        long work = 3L * pairs * intermediate * x.columns();
        if (work < parallelWork) {
            workers.runAlone(upTask);
            workers.runAlone(downTask);
        } else {
            workers.run(upTask);
            workers.run(downTask);
        }
    }

    /** Lists the pairs that belong to this rank's experts, by expert. */
    private int group(Tensor ids, Tensor weights) {
        int count = experts.count();
        int most = ids.rows() * ids.columns();
        if (starts.length < count + 1) {
            starts = new int[count + 1];
        }
        if (tokens.length < most) {
            tokens = new int[most];
            factors = new float[most];
        }
        Arrays.fill(starts, 0, count + 1, 0);
        long idAddress = Native.address(ids);
        long weightAddress = Native.address(weights);
        for (int t = 0; t < ids.rows(); t++) {
            for (int k = 0; k < ids.columns(); k++) {
                int e = Native.intAt(idAddress + t * Native.rowBytes(ids) + 4L * k) - experts.firstExpert();
                if (e >= 0 && e < count) {
                    starts[e + 1]++;
                }
            }
        }
        for (int e = 0; e < count; e++) {
            starts[e + 1] += starts[e];
        }
        int pairs = starts[count];
        for (int t = 0; t < ids.rows(); t++) {
            for (int k = 0; k < ids.columns(); k++) {
                int e = Native.intAt(idAddress + t * Native.rowBytes(ids) + 4L * k) - experts.firstExpert();
                if (e >= 0 && e < count) {
                    int pair = starts[e]++;
                    tokens[pair] = t;
                    factors[pair] = Native.floatAt(weightAddress + t * Native.rowBytes(weights) + 4L * k);
                }
            }
        }
        // Each start has moved to the next expert's: move them back.
        System.arraycopy(starts, 0, starts, 1, count);
        starts[0] = 0;
        return pairs;
    }

    private void up(int part, int parts, Scratch scratch) {
        long gates = inner.address();
        long ups = gates + 4L * starts[experts.count()] * intermediate;
        long stride = 4L * intermediate;
        int from = VectorOps.share(intermediate, part, parts);
        int to = VectorOps.share(intermediate, part + 1, parts);
        for (int e = 0; e < experts.count(); e++) {
            int first = starts[e];
            int count = starts[e + 1] - first;
            if (count == 0) {
                continue;
            }
            scratch.product.input(Native.address(x), Native.rowBytes(x), tokens, first, count);
            scratch.product
                    .weight(experts.gate().get(e))
                    .output(gates + first * stride, stride)
                    .run(from, to, scratch);
            scratch.product
                    .weight(experts.up().get(e))
                    .output(ups + first * stride, stride)
                    .run(from, to, scratch);
            for (int pair = first; pair < first + count; pair++) {
                long row = pair * stride + 4L * from;
                Exponential.siluMul(gates + row, ups + row, gates + row, to - from);
            }
        }
    }

    private void down(int part, int parts, Scratch scratch) {
        int from = VectorOps.share(x.columns(), part, parts);
        int to = VectorOps.share(x.columns(), part + 1, parts);
        int columns = to - from;
        for (int t = 0; t < out.rows(); t++) {
            Native.ALL
                    .asSlice(Native.address(out) + t * Native.rowBytes(out) + 4L * from, 4L * columns)
                    .fill((byte) 0);
        }
        long stride = 4L * intermediate;
        for (int e = 0; e < experts.count(); e++) {
            int first = starts[e];
            int count = starts[e + 1] - first;
            if (count == 0) {
                continue;
            }
            // Results [count, columns]; the product addresses them by absolute column.
            long results = scratch.y.ensure(4L * count * columns);
            scratch.product
                    .input(inner.address() + first * stride, stride, count)
                    .weight(experts.down().get(e))
                    .output(results - 4L * from, 4L * columns)
                    .run(from, to, scratch);
            for (int i = 0; i < count; i++) {
                long target = Native.address(out) + tokens[first + i] * Native.rowBytes(out) + 4L * from;
                RowKernels.addScaled(target, results + 4L * i * columns, factors[first + i], columns);
            }
        }
    }
}
