package dev.baton.tensor.cpu;

import dev.baton.model.DType;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Operators that treat each row by itself: part p takes a contiguous share of the rows. */
final class RowsTask implements CpuWorkers.Task {
    /** The operators. */
    enum Kind {
        EMBED,
        RMS_NORM,
        ADD_RMS_NORM,
        ADD,
        COPY,
        SILU_MUL,
        ROPE_HALVES,
        ROPE_PAIRS,
        SCATTER,
        GATHER,
        GATE,
        ARGMAX
    }

    static final Tensor NONE = Tensor.dense(Arena.global().allocate(4, 4), DType.I32, 1);

    private Kind kind = Kind.ADD;
    private Tensor x = NONE;
    private Tensor other = NONE;
    private Tensor out = NONE;
    int rows;
    Tensor residual = NONE;
    Tensor table = NONE;
    float factor;
    int first;
    int heads;
    int headDim;
    int rotaryDim;

    @Nullable
    GateSpec spec;

    void set(Kind kind, Tensor x, Tensor other, Tensor out) {
        this.kind = kind;
        this.x = x;
        this.other = other;
        this.out = out;
    }

    @Override
    public void run(int part, int parts, Scratch scratch) {
        int from = (int) ((long) rows * part / parts);
        int to = (int) ((long) rows * (part + 1) / parts);
        if (from < to) {
            switch (kind) {
                case EMBED -> embed(from, to);
                case RMS_NORM, ADD_RMS_NORM -> rmsNorm(from, to, scratch);
                case ADD -> add(from, to);
                case COPY -> copy(from, to);
                case SILU_MUL -> siluMul(from, to);
                case ROPE_HALVES -> ropeHalves(from, to);
                case ROPE_PAIRS -> ropePairs(from, to, scratch);
                case SCATTER -> scatter(from, to);
                case GATHER -> gather(from, to);
                case GATE -> gate(from, to, scratch);
                case ARGMAX -> argmax(from, to);
            }
        }
    }

    private static long row(Tensor tensor, long row) {
        return Native.address(tensor) + row * Native.rowBytes(tensor);
    }

    private void embed(int from, int to) {
        int n = out.columns();
        for (int t = from; t < to; t++) {
            long id = (long) Native.intAt(Native.address(other) + 4L * t) - first;
            if (id < 0 || id >= x.rows()) {
                Native.ALL.asSlice(row(out, t), 4L * n).fill((byte) 0);
            } else {
                MatrixRows.toFloats(x.dtype(), row(x, id), n, row(out, t), n);
            }
        }
    }

    private void rmsNorm(int from, int to, Scratch scratch) {
        int n = x.columns();
        long weight = Native.address(other);
        if (other.dtype() != DType.F32) {
            weight = scratch.w.ensure(4L * n);
            MatrixRows.toFloats(other.dtype(), Native.address(other), n, weight, n);
        }
        for (int t = from; t < to; t++) {
            long source = row(x, t);
            if (kind == Kind.ADD_RMS_NORM) {
                source = row(residual, t);
                RowKernels.add(source, row(x, t), n);
            }
            RowKernels.rmsNorm(source, weight, factor, row(out, t), n, scratch.lanes);
        }
    }

    private void add(int from, int to) {
        for (int t = from; t < to; t++) {
            RowKernels.add(row(out, t), row(x, t), x.columns());
        }
    }

    private void copy(int from, int to) {
        for (int t = from; t < to; t++) {
            RowKernels.copy(x.dtype(), row(x, t), out.dtype(), row(out, t), x.columns());
        }
    }

    private void siluMul(int from, int to) {
        for (int t = from; t < to; t++) {
            Exponential.siluMul(row(x, t), row(other, t), row(out, t), x.columns());
        }
    }

    private long tableRow(int t) {
        return row(table, OpChecks.slot("rope", Native.intAt(Native.address(other) + 4L * t), table));
    }

    private void ropeHalves(int from, int to) {
        int half = rotaryDim / 2;
        for (int t = from; t < to; t++) {
            long cos = tableRow(t);
            for (int h = 0; h < heads; h++) {
                RowKernels.ropeHalves(row(x, t) + 4L * (h * headDim + first), cos, cos + 4L * half, half);
            }
        }
    }

    private void ropePairs(int from, int to, Scratch scratch) {
        int half = rotaryDim / 2;
        long cos = scratch.w.ensure(8L * rotaryDim);
        long sin = cos + 4L * rotaryDim;
        for (int t = from; t < to; t++) {
            long source = tableRow(t);
            RowKernels.spreadPairs(source, source + 4L * half, half, cos, sin);
            for (int h = 0; h < heads; h++) {
                RowKernels.ropePairs(row(x, t) + 4L * (h * headDim + first), cos, sin, rotaryDim);
            }
        }
    }

    private void scatter(int from, int to) {
        for (int t = from; t < to; t++) {
            int slot = OpChecks.slot("scatterRows", Native.intAt(Native.address(other) + 4L * t), out);
            RowKernels.copy(DType.F32, row(x, t), out.dtype(), row(out, slot), x.columns());
        }
    }

    private void gather(int from, int to) {
        for (int t = from; t < to; t++) {
            int slot = OpChecks.slot("gatherRows", Native.intAt(Native.address(other) + 4L * t), x);
            RowKernels.copy(x.dtype(), row(x, slot), DType.F32, row(out, t), x.columns());
        }
    }

    private void gate(int from, int to, Scratch scratch) {
        GateSpec gateSpec = Objects.requireNonNull(spec);
        int experts = x.columns();
        GateChoice choice = scratch.gate;
        choice.prepare(experts, gateSpec.topK());
        Tensor bias = gateSpec.correctionBias();
        choice.bias = bias == null ? null : scratch.floats(experts);
        if (bias != null) {
            MemorySegment.copy(Native.ALL, Native.FLOAT, Native.address(bias), choice.bias, 0, experts);
        }
        for (int t = from; t < to; t++) {
            switch (gateSpec.scoring()) {
                case SIGMOID -> Exponential.sigmoid(row(x, t), choice.scores, experts);
                case SOFTMAX -> Exponential.softmax(row(x, t), choice.scores, experts);
            }
            choice.choose(experts, gateSpec);
            int topK = gateSpec.topK();
            MemorySegment.copy(choice.ids, 0, Native.ALL, Native.INT, row(other, t), topK);
            MemorySegment.copy(choice.weights, 0, Native.ALL, Native.FLOAT, row(out, t), topK);
        }
    }

    private void argmax(int from, int to) {
        for (int t = from; t < to; t++) {
            int best = RowKernels.argmax(row(x, t), x.columns());
            Native.ALL.set(Native.INT, Native.address(out) + 4L * t, best);
        }
    }
}
