package dev.baton.cuda;

import dev.baton.cuda.Kernels.Source;
import dev.baton.cuda.driver.Launch;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;

/** The operators that go through rows element by element: embedding, norms, rotations, sums and copies (elements.cu, norm.cu). */
final class CudaElements {
    /** Threads of most blocks, the most of any, and those of a rotation of eight pairs a thread. */
    private static final int BLOCK = 256;

    private static final int MOST_THREADS = 1024;
    private static final int MOST_ROTATORS = 512;

    private final Launch launch;
    private final Kernels kernels;
    private final Operands operands;

    CudaElements(Launch launch, Kernels kernels, Operands operands) {
        this.launch = launch;
        this.kernels = kernels;
        this.operands = operands;
    }

    static TensorException misfit(String operator, String rule, Tensor... tensors) {
        return new TensorException(
                TensorException.Code.SHAPE, operator + ": " + rule + "; got " + java.util.Arrays.toString(tensors));
    }

    static void requireSameShape(String operator, Tensor a, Tensor b) {
        if (a.rows() != b.rows() || a.columns() != b.columns()) {
            throw misfit(operator, "both must be [T, n]", a, b);
        }
    }

    /** Rows begin on 16-byte boundaries and are whole groups of eight elements. */
    static boolean isWide(Tensor tensor) {
        return tensor.columns() % 8 == 0 && tensor.rowStride() % 8 == 0 && address(tensor) % 16 == 0;
    }

    /** Puts address and row stride. */
    private Launch rows(Launch to, Tensor tensor) {
        return to.put(tensor.memory().address()).put(tensor.rowStride());
    }

    private static long address(Tensor tensor) {
        return tensor.memory().address();
    }

    private static String pair(Tensor a, Tensor b) {
        return Kernels.type(a.dtype()) + "_" + Kernels.type(b.dtype());
    }

    /** A block a row; nothing for an empty step. */
    private void run(Source source, String kernel, int rows) {
        launch.run(kernels.get(source, kernel), rows, 1, 1, 0);
    }

    void embed(Tensor ids, Tensor table, int firstId, Tensor out) {
        if (ids.elements() != out.rows() || table.columns() != out.columns()) {
            throw misfit("embed", "ids [T], table [rows, hidden], out [T, hidden]", ids, table, out);
        }
        if (out.rows() == 0) {
            return;
        }
        rows(rows(launch.put(address(ids)), table), out)
                .put(table.rows())
                .put(firstId)
                .put(out.columns());
        run(Source.ELEMENTS, "embed_" + pair(table, out), out.rows());
    }

    void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor out) {
        requireSameShape("rmsNorm", x, out);
        if (weight.elements() != x.columns()) {
            throw misfit("rmsNorm", "x [T, n], weight [n]", x, weight);
        }
        if (x.rows() == 0) {
            return;
        }
        long factors = operands.address(weight, DType.F32);
        rows(rows(launch, x).put(factors), out).put(epsilon).put(x.columns());
        run(Source.NORM, "rms_norm_" + pair(x, out), x.rows());
    }

    void addRmsNorm(Tensor residual, Tensor x, Tensor weight, float epsilon, Tensor out) {
        requireSameShape("addRmsNorm", residual, x);
        requireSameShape("addRmsNorm", x, out);
        if (x.dtype() != out.dtype()) {
            throw misfit("addRmsNorm", "x and out must have one dtype", x, out);
        }
        if (x.rows() == 0) {
            return;
        }
        long factors = operands.address(weight, DType.F32);
        int n = x.columns();
        boolean wide = residual.dtype() == DType.F32
                && x.dtype() == DType.BF16
                && n <= 8 * MOST_THREADS
                && isWide(residual)
                && isWide(x)
                && isWide(out);
        rows(rows(rows(launch, residual), x).put(factors), out).put(epsilon).put(n);
        if (wide) {
            launch.run(kernels.get(Source.NORM, "add_rms_norm_wide", (n / 8 + 31) / 32 * 32), x.rows(), 1, 1, 0);
        } else {
            run(Source.NORM, "add_rms_norm_" + pair(residual, x), x.rows());
        }
    }

    void add(Tensor target, Tensor x) {
        requireSameShape("add", target, x);
        if (x.rows() > 0) {
            rows(rows(launch, target), x).put(x.columns());
            run(Source.ELEMENTS, "add_" + pair(x, target), x.rows());
        }
    }

    void copy(Tensor x, Tensor out) {
        requireSameShape("copy", x, out);
        if (x.rows() > 0) {
            rows(rows(launch, x), out).put(x.columns());
            run(Source.ELEMENTS, "copy_" + pair(x, out), x.rows());
        }
    }

    void siluMul(Tensor gate, Tensor up, Tensor out) {
        requireSameShape("siluMul", gate, up);
        requireSameShape("siluMul", gate, out);
        if (gate.rows() > 0) {
            int n = gate.columns();
            boolean wide = gate.dtype() == DType.BF16 && isWide(gate) && isWide(up) && isWide(out);
            rows(rows(rows(launch, gate), up), out).put(n);
            int parts = (n + (wide ? 8 : 1) * BLOCK - 1) / ((wide ? 8 : 1) * BLOCK);
            String kernel = wide ? "silu_mul_wide" : "silu_mul_" + Kernels.type(gate.dtype());
            launch.run(kernels.get(Source.ELEMENTS, kernel), gate.rows(), parts, 1, 0);
        }
    }

    void rope(
            Tensor x,
            Tensor positions,
            Tensor table,
            int heads,
            int headDim,
            int offset,
            int rotaryDim,
            boolean interleaved) {
        if (x.columns() != heads * headDim || positions.elements() != x.rows() || table.columns() != rotaryDim) {
            throw misfit("rope", "x [T, heads * headDim], positions [T], table [max, rotaryDim]", x, positions, table);
        }
        if (x.rows() > 0) {
            rows(launch, x)
                    .put(address(positions))
                    .put(address(table))
                    .put(heads)
                    .put(headDim)
                    .put(offset)
                    .put(rotaryDim)
                    .put(interleaved ? 1 : 0);
            run(Source.ELEMENTS, "rope_" + Kernels.type(x.dtype()), x.rows());
        }
    }

    void ropeAndStore(
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor positions,
            Tensor table,
            int heads,
            int kvHeads,
            int headDim,
            boolean interleaved,
            Tensor slots,
            Tensor keys,
            Tensor values) {
        if (q.columns() != heads * headDim
                || k.columns() != kvHeads * headDim
                || keys.columns() != k.columns()
                || values.columns() != v.columns()
                || keys.dtype() != values.dtype()) {
            throw misfit(
                    "ropeAndStore", "q [T, heads * headDim], k and keys, v and values alike", q, k, v, keys, values);
        }
        if (q.rows() == 0) {
            return;
        }
        rows(rows(rows(rows(rows(launch, q), k), v), keys), values)
                .put(address(positions))
                .put(address(slots))
                .put(address(table))
                .put(heads)
                .put(kvHeads)
                .put(headDim)
                .put(v.columns());
        boolean wide = !interleaved && table.columns() == headDim && headDim % 16 == 0;
        for (Tensor tensor : new Tensor[] {q, k, v, keys, values}) {
            wide &= SkinnyProduct.isWide(tensor);
        }
        if (wide) {
            int eighths = ((heads + kvHeads) * headDim / 2 + v.columns()) / 8;
            int threads = Math.min(MOST_ROTATORS, (eighths + 31) / 32 * 32);
            launch.run(kernels.get(Source.ELEMENTS, "rope_store_wide", threads), q.rows(), 1, 1, 0);
        } else {
            launch.put(table.columns()).put(interleaved ? 1 : 0);
            run(Source.ELEMENTS, "rope_store_" + pair(q, keys), q.rows());
        }
    }

    void scatterRows(Tensor x, Tensor slots, Tensor cache) {
        if (slots.elements() != x.rows() || cache.columns() != x.columns()) {
            throw misfit("scatterRows", "x [T, n], slots [T], cache [slots, n]", x, slots, cache);
        }
        if (x.rows() > 0) {
            rows(rows(launch, x).put(address(slots)), cache).put(x.columns());
            run(Source.ELEMENTS, "scatter_" + pair(x, cache), x.rows());
        }
    }

    void gatherRows(Tensor cache, Tensor slots, Tensor out) {
        if (slots.elements() != out.rows() || cache.columns() != out.columns()) {
            throw misfit("gatherRows", "cache [slots, n], slots [T], out [T, n]", cache, slots, out);
        }
        if (out.rows() > 0) {
            rows(rows(launch, cache).put(address(slots)), out).put(out.columns());
            run(Source.ELEMENTS, "gather_" + pair(cache, out), out.rows());
        }
    }
}
