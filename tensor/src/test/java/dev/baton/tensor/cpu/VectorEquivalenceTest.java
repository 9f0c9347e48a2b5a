package dev.baton.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every vector operator against its scalar twin: dtypes, sizes off the lane count, strides, 1 to 3 threads. */
class VectorEquivalenceTest {
    private static final List<VectorOps> VECTOR = List.of(
            new VectorOps(new CpuWorkers(1, -1), 0),
            new VectorOps(new CpuWorkers(2, -1), 0),
            new VectorOps(new CpuWorkers(3, -1), 0));
    private static final Ops SCALAR = new ScalarOps();

    private final Arena arena = Arena.ofConfined();
    private final Samples samples = new Samples(arena, 42);

    @AfterEach
    void free() {
        arena.close();
    }

    @AfterAll
    static void close() {
        VECTOR.forEach(VectorOps::close);
    }

    /**
     * Runs the operator with scalar kernels and with vector kernels of 1, 2 and 3 threads, each into a fresh copy of
     * {@code out}; the scalar result within the tolerance, the vector results of the same bits.
     */
    private void compare(Tensor out, double tolerance, BiConsumer<Ops, Tensor> operator) {
        Tensor expected = samples.copy(out);
        operator.accept(SCALAR, expected);
        int[] first = null;
        for (VectorOps ops : VECTOR) {
            Tensor actual = samples.copy(out);
            operator.accept(ops, actual);
            float[] a = Samples.values(actual);
            float[] e = Samples.values(expected);
            for (int i = 0; i < a.length; i++) {
                assertThat((double) a[i])
                        .as("element %d of %s", i, out)
                        .isCloseTo(e[i], org.assertj.core.data.Offset.offset(tolerance * (1 + Math.abs(e[i]))));
            }
            assertGapsUntouched(out, actual);
            int[] bits = Samples.bits(actual);
            if (first != null) {
                assertThat(bits).as("threads must not change bits").isEqualTo(first);
            }
            first = bits;
        }
    }

    /** Elements between the rows keep their bits. */
    private static void assertGapsUntouched(Tensor before, Tensor after) {
        int width = before.dtype().bytes();
        for (int row = 0; row + 1 < before.rows(); row++) {
            long from = (row * before.rowStride() + before.columns()) * width;
            long to = (row + 1) * before.rowStride() * width;
            assertThat(after.memory()
                            .asSlice(from, to - from)
                            .mismatch(before.memory().asSlice(from, to - from)))
                    .isEqualTo(-1);
        }
    }

    private void compareInts(Tensor out, BiConsumer<Ops, Tensor> operator) {
        Tensor expected = samples.copy(out);
        operator.accept(SCALAR, expected);
        for (VectorOps ops : VECTOR) {
            Tensor actual = samples.copy(out);
            operator.accept(ops, actual);
            assertThat(Samples.intValues(actual)).isEqualTo(Samples.intValues(expected));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16", "F8_E4M3"})
    void linear(DType dtype) {
        int[][] sizes = {
            {1, 896, 48},
            {1, 2050, 9},
            {2, 64, 16},
            {3, 1, 1},
            {4, 33, 7},
            {5, 128, 128},
            {7, 100, 31},
            {8, 256, 40},
            {31, 48, 24},
            {33, 1100, 19},
            {37, 129, 13},
            {300, 40, 20}
        };
        for (int[] size : sizes) {
            int rows = size[0];
            int k = size[1];
            int n = size[2];
            boolean scaled = dtype == DType.F8_E4M3;
            Tensor matrix = samples.floats(dtype, n, k, k + samples.between(0, 2) * 3);
            Weight weight = new Weight(
                    matrix,
                    scaled ? scales(n, k) : null,
                    samples.random().nextBoolean() ? samples.vector(DType.BF16, n) : null);
            Tensor x = samples.floats(rows, k);
            // F8 values reach 240: the sums are that much larger than those of the other types.
            compare(samples.floats(rows, n), scaled ? 2e-4 : 2e-5, (ops, out) -> ops.linear(x, weight, out));
        }
    }

    private Tensor scales(int n, int k) {
        Tensor scales = samples.floats(DType.F32, (n + 127) / 128, (k + 127) / 128, (k + 127) / 128);
        for (int i = 0; i < scales.elements(); i++) {
            Elements.set(scales, i / scales.columns(), i % scales.columns(), 0.001f * (i + 1));
        }
        return scales;
    }

    @Test
    void linearReadsWeightsAtAnyAddress() {
        for (int shift : new int[] {1, 2, 3, 7}) {
            Tensor bf16 = samples.floats(DType.BF16, 1, 40 * 64 + shift, 40 * 64 + shift);
            Tensor matrix = Tensor.dense(bf16.memory().asSlice(2L * shift), DType.BF16, 40, 64);
            Tensor f32 = samples.floats(DType.F32, 1, 40 * 64 + shift, 40 * 64 + shift);
            Tensor floats = Tensor.dense(f32.memory().asSlice(4L * shift), DType.F32, 40, 64);
            for (int rows : new int[] {1, 6, 40}) {
                Tensor x = samples.floats(rows, 64);
                compare(samples.floats(rows, 40), 2e-5, (ops, out) -> ops.linear(x, Weight.of(matrix), out));
                compare(samples.floats(rows, 40), 2e-5, (ops, out) -> ops.linear(x, Weight.of(floats), out));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void headLinear(DType dtype) {
        for (int[] size : new int[][] {{1, 4, 16, 32}, {3, 2, 24, 17}, {40, 3, 9, 64}}) {
            Tensor flat = samples.floats(dtype, size[1] * size[2], size[3], size[3]);
            Tensor matrices = flat.reshape(size[1], size[2], size[3]);
            int rows = size[0] * size[1];
            Tensor x = samples.floats(rows, size[3]);
            compare(samples.floats(rows, size[2]), 2e-5, (ops, out) -> ops.headLinear(x, matrices, out));
            Tensor part = samples.floats(rows, size[3] + 13).columnRange(6, size[3]);
            compare(samples.floats(rows, size[2]), 2e-5, (ops, out) -> ops.headLinear(part, matrices, out));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16", "F8_E4M3"})
    void embed(DType dtype) {
        Tensor table = samples.floats(dtype, 11, 37, 40);
        Tensor ids = samples.ints(5, 12, 4, 15, 16, 0, 9);
        compare(samples.floats(7, 37), 0, (ops, out) -> ops.embed(ids, table, 5, out));
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void norms(DType dtype) {
        for (int n : new int[] {1, 15, 64, 200, 896, 1001}) {
            Tensor x = samples.floats(5, n);
            Tensor weight = samples.vector(dtype, n);
            compare(samples.floats(5, n), 1e-5, (ops, out) -> ops.rmsNorm(x, weight, 1e-6f, out));
            compare(x, 1e-5, (ops, out) -> ops.rmsNorm(out, weight, 1e-6f, out));
            Tensor residual = samples.floats(5, n);
            compare(samples.floats(5, n), 1e-5, (ops, out) -> {
                Tensor sum = samples.copy(residual);
                ops.addRmsNorm(sum, x, weight, 1e-5f, out);
            });
            compare(residual, 0, (ops, sum) -> ops.addRmsNorm(sum, x, weight, 1e-5f, samples.copy(x)));
        }
    }

    @Test
    void elementwise() {
        for (int n : new int[] {1, 16, 37, 300}) {
            Tensor x = samples.floats(4, n);
            Tensor y = samples.floats(4, n);
            compare(y, 0, (ops, out) -> ops.add(out, x));
            compare(samples.floats(4, n), 1e-6, (ops, out) -> ops.siluMul(x, y, out));
            compare(x, 1e-6, (ops, out) -> ops.siluMul(out, y, out));
            for (DType from : List.of(DType.F32, DType.BF16)) {
                for (DType to : List.of(DType.F32, DType.BF16)) {
                    Tensor source = samples.floats(from, 4, n, n + 2);
                    compare(samples.floats(to, 4, n, n + 1), 0, (ops, out) -> ops.copy(source, out));
                }
            }
        }
    }

    @Test
    void siluOfExtremeValues() {
        Tensor x = samples.floats(DType.F32, 1, 37, 37);
        float[] extremes = {0f, -0f, 1e-30f, 5f, -5f, 20f, -20f, 80f, -80f, 90f, -90f, 1e30f, -1e30f, Float.MAX_VALUE};
        for (int i = 0; i < 37; i++) {
            Elements.set(x, 0, i, extremes[i % extremes.length]);
        }
        Tensor ones = samples.floats(DType.F32, 1, 37, 37);
        for (int i = 0; i < 37; i++) {
            Elements.set(ones, 0, i, 1);
        }
        compare(samples.floats(1, 37), 1e-6, (ops, out) -> ops.siluMul(x, ones, out));
    }

    @Test
    void rope() {
        for (boolean interleaved : new boolean[] {false, true}) {
            for (int[] size : new int[][] {{3, 2, 64, 0, 64}, {5, 4, 24, 16, 8}, {4, 3, 40, 6, 34}, {2, 1, 2, 0, 2}}) {
                Tensor table = samples.floats(50, size[4]);
                Tensor positions = samples.ints(samples.below(size[0], 50));
                Tensor x = samples.floats(size[0], size[1] * size[2]);
                compare(
                        x,
                        1e-6,
                        (ops, out) -> ops.rope(out, positions, table, size[1], size[2], size[3], size[4], interleaved));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void cacheRows(DType dtype) {
        for (int n : new int[] {1, 16, 45}) {
            Tensor cache = samples.floats(dtype, 20, n, n + 3);
            Tensor x = samples.floats(9, n);
            Tensor slots = samples.ints(samples.distinct(9, 20));
            compare(cache, 0, (ops, out) -> ops.scatterRows(x, slots, out));
            compare(samples.floats(9, n), 0, (ops, out) -> ops.gatherRows(cache, slots, out));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void attention(DType dtype) {
        int[][] shapes = {{14, 2, 64, 64}, {4, 4, 16, 16}, {6, 1, 24, 40}, {8, 2, 128, 128}};
        int[][][] batches = {
            {{1}, {1}},
            {{1, 1, 1}, {5, 64, 65}},
            {{1}, {300}},
            {{7, 1, 20}, {7, 130, 150}},
            {{70}, {70}},
            {{0, 3}, {4, 3}}
        };
        for (int[] shape : shapes) {
            int heads = shape[0];
            int kvHeads = shape[1];
            Tensor keys = samples.floats(dtype, 400, kvHeads * shape[2], kvHeads * shape[2] + 8);
            Tensor values = samples.floats(dtype, 400, kvHeads * shape[3], kvHeads * shape[3]);
            for (int[][] lengths : batches) {
                AttentionBatch batch = samples.batch(lengths[0], lengths[1], 400);
                int tokens = java.util.Arrays.stream(lengths[0]).sum();
                Tensor q = samples.floats(tokens, heads * shape[2]);
                compare(
                        samples.floats(tokens, heads * shape[3]),
                        1e-5,
                        (ops, out) ->
                                ops.attention(q, keys, values, batch, heads, kvHeads, shape[2], shape[3], 0.3f, out));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void latentAttention(DType dtype) {
        for (int[] shape : new int[][] {{4, 64, 16}, {16, 40, 10}, {3, 512, 64}, {128, 32, 8}}) {
            int heads = shape[0];
            int width = shape[1] + shape[2];
            Tensor cache = samples.floats(dtype, 300, width, width);
            for (int[][] lengths : new int[][][] {{{1}, {200}}, {{1, 9}, {3, 70}}, {{40}, {45}}}) {
                AttentionBatch batch = samples.batch(lengths[0], lengths[1], 300);
                int tokens = java.util.Arrays.stream(lengths[0]).sum();
                Tensor q = samples.floats(tokens, heads * width);
                compare(
                        samples.floats(tokens, heads * shape[1]),
                        1e-5,
                        (ops, out) -> ops.latentAttention(q, cache, batch, heads, shape[1], shape[2], 0.2f, out));
            }
        }
    }

    @Test
    void attentionOfScoresFarApart() {
        Tensor keys = samples.floats(100, 16);
        Tensor values = samples.floats(100, 16);
        AttentionBatch batch = samples.batch(new int[] {4}, new int[] {100}, 100);
        Tensor q = samples.floats(4, 32);
        compare(
                samples.floats(4, 32),
                1e-4,
                (ops, out) -> ops.attention(q, keys, values, batch, 2, 1, 16, 16, 300f, out));
    }

    @Test
    void gates() {
        List<GateSpec> specs = List.of(
                new GateSpec(
                        GateSpec.Scoring.SIGMOID,
                        samples.vector(DType.F32, 32),
                        8,
                        4,
                        GateSpec.GroupScore.TOP_TWO_SUM,
                        6,
                        true,
                        2.5f),
                new GateSpec(GateSpec.Scoring.SOFTMAX, null, 1, 1, GateSpec.GroupScore.MAX, 2, false, 1f),
                new GateSpec(GateSpec.Scoring.SOFTMAX, null, 4, 2, GateSpec.GroupScore.MAX, 3, false, 16f));
        for (GateSpec spec : specs) {
            Tensor logits = samples.floats(19, 32);
            compareInts(
                    samples.intMatrix(19, spec.topK()),
                    (ops, ids) -> ops.gate(logits, spec, ids, samples.floats(19, spec.topK())));
            compare(
                    samples.floats(19, spec.topK()),
                    1e-5,
                    (ops, weights) -> ops.gate(logits, spec, samples.intMatrix(19, spec.topK()), weights));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F8_E4M3"})
    void experts(DType dtype) {
        for (int[] size : new int[][] {{1, 64, 24}, {9, 40, 17}, {70, 32, 16}}) {
            int count = 5;
            List<Weight> gate = new ArrayList<>();
            List<Weight> up = new ArrayList<>();
            List<Weight> down = new ArrayList<>();
            for (int e = 0; e < count; e++) {
                gate.add(expert(dtype, size[2], size[1]));
                up.add(expert(dtype, size[2], size[1]));
                down.add(expert(dtype, size[1], size[2]));
            }
            ExpertWeights experts = new ExpertWeights(2, gate, up, down);
            Tensor x = samples.floats(size[0], size[1]);
            Tensor ids = samples.intMatrix(size[0], 3);
            for (int t = 0; t < size[0]; t++) {
                int[] chosen = samples.distinct(3, 9);
                for (int k = 0; k < 3; k++) {
                    Elements.setInt(ids, t, k, chosen[k]);
                }
            }
            Tensor weights = samples.floats(size[0], 3);
            compare(samples.floats(size[0], size[1]), 3e-4, (ops, out) -> ops.experts(x, ids, weights, experts, out));
        }
    }

    private Weight expert(DType dtype, int n, int k) {
        Tensor matrix = samples.floats(dtype, n, k, k);
        return new Weight(matrix, dtype == DType.F8_E4M3 ? scales(n, k) : null, null);
    }

    @Test
    void argmax() {
        for (int n : new int[] {1, 15, 33, 1000}) {
            Tensor logits = samples.floats(6, n);
            // Ties, all equal, not a number.
            Elements.set(logits, 1, n / 2, 7);
            Elements.set(logits, 1, n - 1, 7);
            for (int i = 0; i < n; i++) {
                Elements.set(logits, 2, i, -3);
                Elements.set(logits, 3, i, Float.NEGATIVE_INFINITY);
                Elements.set(logits, 5, i, Float.NaN);
            }
            Elements.set(logits, 4, 0, Float.NaN);
            compareInts(samples.ints(9, 9, 9, 9, 9, 9), (ops, out) -> ops.argmax(logits, out));
        }
    }
}
