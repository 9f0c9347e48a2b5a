package dev.baton.cuda.blas;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.baton.cuda.driver.Gpu;
import dev.baton.cuda.driver.GpuEvent;
import dev.baton.cuda.driver.NativeLibrary;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.TensorException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code y = x W^T (+ bias)} by cuBLASLt (cuBLAS Library User Guide, section 3), sums in f32. Row-major matrices are
 * handed over as column-major ones: {@code y^T = W x^T}. Shapes that come again and again (decode batches, whole chunks) get the
 * fastest of the library's first choices, measured once with cold caches; others its very first. Belongs to one {@link Gpu} and its thread.
 */
public final class MatrixProduct implements AutoCloseable {
    private static final Logger LOG = System.getLogger(MatrixProduct.class.getName());

    private static final NativeLibrary LIBRARY = NativeLibrary.open(
            List.of("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"),
            "install cuBLAS (a CUDA 12 or 13 toolkit, or the package nvidia-cublas) and put its folder on"
                    + " LD_LIBRARY_PATH or set CUDA_HOME, or use --device cpu");

    private static final MethodHandle CREATE = LIBRARY.function("cublasLtCreate", ADDRESS);
    private static final MethodHandle DESTROY = LIBRARY.function("cublasLtDestroy", JAVA_LONG);
    private static final MethodHandle DESCRIPTOR =
            LIBRARY.function("cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
    private static final MethodHandle DESCRIPTOR_SET =
            LIBRARY.function("cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle LAYOUT =
            LIBRARY.function("cublasLtMatrixLayoutCreate", ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle LAYOUT_SET =
            LIBRARY.function("cublasLtMatrixLayoutSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle PREFERENCE = LIBRARY.function("cublasLtMatmulPreferenceCreate", ADDRESS);
    private static final MethodHandle PREFERENCE_SET =
            LIBRARY.function("cublasLtMatmulPreferenceSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
    private static final MethodHandle HEURISTIC = LIBRARY.function(
            "cublasLtMatmulAlgoGetHeuristic",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            ADDRESS,
            ADDRESS);
    private static final MethodHandle MULTIPLY = LIBRARY.function(
            "cublasLtMatmul",
            JAVA_LONG,
            JAVA_LONG,
            ADDRESS,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            ADDRESS,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            ADDRESS,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);

    private static final int COMPUTE_F32 = 68;
    private static final int R_32F = 0;
    private static final int R_16F = 2;
    private static final int R_16BF = 14;
    private static final int TRANSPOSE_A = 3;
    private static final int EPILOGUE = 7;
    private static final int BIAS_POINTER = 8;
    private static final int EPILOGUE_BIAS = 4;
    private static final int BATCH_COUNT = 5;
    private static final int BATCH_STRIDE = 6;
    private static final int MAX_WORKSPACE = 1;
    private static final int ALIGNMENT_A = 5;
    private static final int ALIGNMENT_B = 6;
    private static final int ALIGNMENT_C = 7;
    private static final int ALIGNMENT_D = 8;
    private static final long HEURISTIC_BYTES = 96;
    private static final int ALGORITHM_BYTES = 64;
    /** How many of the library's choices are measured, how often, and what is written in between to empty the L2 cache. */
    private static final int CHOICES = 12;

    private static final int TRIALS = 3;
    private static final long FLUSH_BYTES = 64L << 20;
    /** Decode batches are at most this large. */
    private static final int MOST_DECODED = 512;
    /** What NVIDIA recommends for Hopper. */
    private static final long WORKSPACE_BYTES = 32L << 20;

    /**
     * A product's shape. Strides are elements from one row to the next, batch strides from one product to the next.
     * Alignments are the largest powers of two, up to 256, that divide the addresses.
     *
     * @param out rows of W
     * @param in columns of W
     * @param tokens rows of x and y
     * @param type of W and x
     * @param batch products at once
     */
    public record Shape(
            int out,
            int in,
            int tokens,
            DType type,
            DType resultType,
            boolean bias,
            long weightStride,
            long xStride,
            long yStride,
            int batch,
            long weightBatchStride,
            long xBatchStride,
            long yBatchStride,
            int weightAlignment,
            int xAlignment,
            int yAlignment) {
        /** {@code out = x W^T}: x [T, in], weight [out, in], out [T, out]; x and weight of one type. */
        public static Shape of(Tensor weight, Tensor x, Tensor out, boolean bias) {
            return new Shape(
                    out.columns(),
                    x.columns(),
                    x.rows(),
                    x.dtype(),
                    out.dtype(),
                    bias,
                    weight.rowStride(),
                    x.rowStride(),
                    out.rowStride(),
                    1,
                    0,
                    0,
                    0,
                    alignment(weight),
                    alignment(x),
                    alignment(out));
        }

        /** A product a head: x [T * heads, in], matrices [heads, out, in], out [T * heads, out]. */
        public static Shape perHead(Tensor matrices, Tensor x, Tensor out) {
            int heads = (int) matrices.size(0);
            int rows = (int) matrices.size(1);
            return new Shape(
                    rows,
                    (int) matrices.size(2),
                    x.rows() / heads,
                    x.dtype(),
                    out.dtype(),
                    false,
                    matrices.rowStride(),
                    heads * x.rowStride(),
                    heads * out.rowStride(),
                    heads,
                    rows * matrices.rowStride(),
                    x.rowStride(),
                    out.rowStride(),
                    alignment(matrices),
                    Math.min(alignment(x), lowestBit(x.rowStride() * x.dtype().bytes())),
                    Math.min(
                            alignment(out),
                            lowestBit(out.rowStride() * out.dtype().bytes())));
        }

        private static int alignment(Tensor tensor) {
            return lowestBit(tensor.memory().address());
        }

        private static int lowestBit(long value) {
            return (int) Math.min(256, Long.lowestOneBit(value));
        }
    }

    /** What the library made of a shape; the algorithm lies in native memory. */
    private record Plan(long descriptor, long w, long x, long y, MemorySegment algorithm) {}

    private final Gpu gpu;
    private final Arena arena = Arena.ofShared();
    private final long handle;
    private final long workspace;
    private final MemorySegment one = arena.allocateFrom(JAVA_FLOAT, 1f);
    private final MemorySegment zero = arena.allocateFrom(JAVA_FLOAT, 0f);
    private final MemorySegment word = arena.allocate(8, 8);
    private final Map<Shape, Plan> plans = new HashMap<>();

    public MatrixProduct(Gpu gpu) {
        this.gpu = gpu;
        this.handle = made("cublasLtCreate", result -> (int) CREATE.invokeExact(result));
        this.workspace = gpu.allocate(WORKSPACE_BYTES);
    }

    @FunctionalInterface
    private interface Maker {
        int make(MemorySegment result) throws Throwable;
    }

    private static void run(String what, NativeLibrary.Call call) {
        int code = NativeLibrary.code("cuBLASLt " + what, call);
        if (code != 0) {
            throw new TensorException(TensorException.Code.FAULT, "cuBLASLt " + what + " returned " + code);
        }
    }

    private long made(String what, Maker maker) {
        MemorySegment result = arena.allocate(ADDRESS);
        run(what, () -> maker.make(result));
        return result.get(JAVA_LONG, 0);
    }

    /**
     * Queues the product.
     *
     * @param bias address of [out] values of the result's type; 0 when the shape has none
     */
    public void multiply(Shape shape, long weight, long x, long y, long bias) {
        Plan plan = plans.get(shape);
        if (plan == null) {
            List<Plan> choices = plan(shape, bias);
            plan = choices.size() == 1 ? choices.getFirst() : fastest(choices, shape, weight, x, y);
            plans.put(shape, plan);
        }
        if (shape.bias()) {
            Plan p = plan;
            word.set(JAVA_LONG, 0, bias);
            run("bias", () -> (int) DESCRIPTOR_SET.invokeExact(p.descriptor, BIAS_POINTER, word, 8L));
        }
        int code = multiply(plan, weight, x, y);
        if (code != 0) {
            throw new TensorException(TensorException.Code.FAULT, "cublasLtMatmul returned " + code + " for " + shape);
        }
    }

    private int multiply(Plan p, long weight, long x, long y) {
        try {
            return (int) MULTIPLY.invokeExact(
                    handle,
                    p.descriptor,
                    one,
                    weight,
                    p.w,
                    x,
                    p.x,
                    zero,
                    y,
                    p.y,
                    y,
                    p.y,
                    p.algorithm,
                    workspace,
                    WORKSPACE_BYTES,
                    gpu.stream());
        } catch (Throwable e) {
            throw new TensorException(TensorException.Code.FAULT, "cublasLtMatmul: " + e, e);
        }
    }

    /** Decode batches and whole chunks come again; a prompt's length mostly does not. */
    private static boolean comesAgain(Shape shape) {
        return shape.type() == DType.BF16
                && shape.batch() == 1
                && (shape.tokens() <= MOST_DECODED ? shape.tokens() % 8 == 0 : shape.tokens() % 1024 == 0);
    }

    /** The plan of the shortest time, the weights not in the cache. The result is computed as a side effect. */
    private Plan fastest(List<Plan> choices, Shape shape, long weight, long x, long y) {
        long flushed = gpu.allocate(FLUSH_BYTES);
        Plan best = choices.getFirst();
        double bestMillis = Double.POSITIVE_INFINITY;
        try (GpuEvent begin = gpu.event();
                GpuEvent end = gpu.event()) {
            for (Plan choice : choices) {
                double millis = multiply(choice, weight, x, y) == 0 ? 0 : Double.POSITIVE_INFINITY;
                double shortest = Double.POSITIVE_INFINITY;
                for (int i = 0; i < TRIALS && millis == 0; i++) {
                    gpu.fill(flushed, (byte) i, FLUSH_BYTES);
                    begin.record();
                    multiply(choice, weight, x, y);
                    end.record();
                    end.synchronize();
                    shortest = Math.min(shortest, end.millisSince(begin));
                }
                if (shortest < bestMillis) {
                    bestMillis = shortest;
                    best = choice;
                }
            }
        } finally {
            gpu.free(flushed);
        }
        LOG.log(
                Level.DEBUG,
                "product {0} x {1} of {2} tokens: choice {3} of {4}, {5} ms",
                shape.out(),
                shape.in(),
                shape.tokens(),
                choices.indexOf(best),
                choices.size(),
                bestMillis);
        return best;
    }

    /** The library's choices, its best guess first. */
    private List<Plan> plan(Shape shape, long bias) {
        long descriptor = made("descriptor", result -> (int) DESCRIPTOR.invokeExact(result, COMPUTE_F32, R_32F));
        setInt(descriptor, TRANSPOSE_A, 1);
        if (shape.bias()) {
            setInt(descriptor, EPILOGUE, EPILOGUE_BIAS);
            word.set(JAVA_LONG, 0, bias);
            run("bias", () -> (int) DESCRIPTOR_SET.invokeExact(descriptor, BIAS_POINTER, word, 8L));
        }
        long w = layout(
                shape.type(), shape.in(), shape.out(), shape.weightStride(), shape.batch(), shape.weightBatchStride());
        long x = layout(shape.type(), shape.in(), shape.tokens(), shape.xStride(), shape.batch(), shape.xBatchStride());
        long y = layout(
                shape.resultType(), shape.out(), shape.tokens(), shape.yStride(), shape.batch(), shape.yBatchStride());
        long preference = made("preference", result -> (int) PREFERENCE.invokeExact(result));
        word.set(JAVA_LONG, 0, WORKSPACE_BYTES);
        run("workspace", () -> (int) PREFERENCE_SET.invokeExact(preference, MAX_WORKSPACE, word, 8L));
        align(preference, ALIGNMENT_A, shape.weightAlignment());
        align(preference, ALIGNMENT_B, shape.xAlignment());
        align(preference, ALIGNMENT_C, shape.yAlignment());
        align(preference, ALIGNMENT_D, shape.yAlignment());
        int wanted = comesAgain(shape) ? CHOICES : 1;
        MemorySegment found = arena.allocate(HEURISTIC_BYTES * wanted, 8);
        MemorySegment count = arena.allocate(JAVA_INT);
        run("heuristic for " + shape, () ->
                (int) HEURISTIC.invokeExact(handle, descriptor, w, x, y, y, preference, wanted, found, count));
        if (count.get(JAVA_INT, 0) < 1) {
            throw new TensorException(TensorException.Code.FAULT, "cuBLASLt knows no algorithm for " + shape);
        }
        List<Plan> choices = new ArrayList<>();
        for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
            choices.add(new Plan(descriptor, w, x, y, found.asSlice(i * HEURISTIC_BYTES, ALGORITHM_BYTES)));
        }
        return choices;
    }

    private void align(long preference, int attribute, int bytes) {
        word.set(JAVA_INT, 0, bytes);
        run("alignment", () -> (int) PREFERENCE_SET.invokeExact(preference, attribute, word, 4L));
    }

    private void setInt(long descriptor, int attribute, int value) {
        word.set(JAVA_INT, 0, value);
        run("attribute", () -> (int) DESCRIPTOR_SET.invokeExact(descriptor, attribute, word, 4L));
    }

    /** A column-major matrix. */
    private long layout(DType type, long rows, long columns, long stride, int batch, long batchStride) {
        int code = switch (type) {
            case F32 -> R_32F;
            case F16 -> R_16F;
            case BF16 -> R_16BF;
            case F8_E4M3, F8_E5M2, F64, I64, I32, I16, I8, U8, BOOL ->
                throw new TensorException(TensorException.Code.DTYPE, "no matrix product of " + type);
        };
        long layout = made("layout", result -> (int) LAYOUT.invokeExact(result, code, rows, columns, stride));
        if (batch > 1) {
            word.set(ValueLayout.JAVA_INT, 0, batch);
            run("batch", () -> (int) LAYOUT_SET.invokeExact(layout, BATCH_COUNT, word, 4L));
            word.set(JAVA_LONG, 0, batchStride);
            run("batch stride", () -> (int) LAYOUT_SET.invokeExact(layout, BATCH_STRIDE, word, 8L));
        }
        return layout;
    }

    /** Gives the library's handle back; descriptors, a few hundred bytes a shape, go with the process. */
    @Override
    public void close() {
        run("cublasLtDestroy", () -> (int) DESTROY.invokeExact(handle));
        gpu.free(workspace);
        arena.close();
    }
}
