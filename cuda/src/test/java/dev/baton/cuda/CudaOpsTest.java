package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.GateSpec;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Every CUDA operator against the scalar one on the host: types, odd sizes, strides; outputs poisoned before. */
@Tag("gpu")
class CudaOpsTest {
    private static Ops scalar;
    private static Ops cuda;
    private static Twin twin;

    @BeforeAll
    static void open() {
        twin = Twin.open();
        scalar = twin.scalar();
        cuda = twin.cuda();
    }

    @AfterAll
    static void close() {
        if (twin != null) {
            twin.close();
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void elements(DType type) {
        for (int n : new int[] {1, 7, 128, 1030}) {
            Twin.Pair table = twin.floats(type, 11, n);
            Twin.Pair ids = twin.ints(0, 10, 5, 3, 14);
            Twin.Pair rows = twin.poisoned(type, 5, n);
            scalar.embed(ids.host(), table.host(), 2, rows.host());
            cuda.embed(ids.device(), table.device(), 2, rows.device());
            twin.assertEqual("embed", rows);

            Twin.Pair a = twin.floats(type, 5, n);
            Twin.Pair b = twin.floats(type, 5, n);
            Twin.Pair out = twin.poisoned(type, 5, n);
            scalar.siluMul(a.host(), b.host(), out.host());
            cuda.siluMul(a.device(), b.device(), out.device());
            twin.assertEqual("siluMul", out);

            for (DType other : new DType[] {DType.F32, DType.BF16}) {
                Twin.Pair copied = twin.poisoned(other, 5, n);
                scalar.copy(a.host(), copied.host());
                cuda.copy(a.device(), copied.device());
                twin.assertEqual("copy", copied);

                Twin.Pair cache = twin.floats(other, 9, n);
                Twin.Pair slots = twin.ints(8, 1, 4, 2, 7);
                scalar.scatterRows(a.host(), slots.host(), cache.host());
                cuda.scatterRows(a.device(), slots.device(), cache.device());
                twin.assertEqual("scatterRows", cache);
                Twin.Pair back = twin.poisoned(type, 5, n);
                scalar.gatherRows(cache.host(), slots.host(), back.host());
                cuda.gatherRows(cache.device(), slots.device(), back.device());
                // The host keeps what BF16 would have rounded.
                assertThat(twin.error(back)).isLessThan(4e-3);
            }
            scalar.add(a.host(), b.host());
            cuda.add(a.device(), b.device());
            twin.assertEqual("add", a);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void norms(DType type) {
        for (int n : new int[] {1, 33, 896, 5120}) {
            Twin.Pair weight = twin.floats(DType.F32, 1, n, 0, n);
            Twin.Pair x = twin.floats(type, 3, n);
            Twin.Pair out = twin.poisoned(type, 3, n);
            scalar.rmsNorm(x.host(), weight.host(), 1e-5f, out.host());
            cuda.rmsNorm(x.device(), weight.device(), 1e-5f, out.device());
            twin.assertEqual("rmsNorm", out);

            Twin.Pair stream = twin.floats(DType.F32, 3, n);
            scalar.addRmsNorm(stream.host(), x.host(), weight.host(), 1e-6f, x.host());
            cuda.addRmsNorm(stream.device(), x.device(), weight.device(), 1e-6f, x.device());
            twin.assertEqual("residual", stream);
            twin.assertEqual("addRmsNorm", x);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void products(DType type) {
        int[][] sizes = {
            {1, 896, 48},
            {2, 2056, 33},
            {3, 8, 5},
            {4, 1024, 256},
            {3, 64, 9},
            {17, 100, 31},
            {64, 2048, 512},
            {1, 8, 8},
            {5, 33, 7}
        };
        for (int[] size : sizes) {
            Twin.Pair x = twin.floats(type, size[0], size[1]);
            Twin.Pair matrix = twin.floats(type, size[2], size[1]);
            Twin.Pair bias = twin.floats(type, 1, size[2], 0, size[2]);
            for (DType result : new DType[] {type, DType.F32}) {
                Twin.Pair out = twin.poisoned(result, size[0], size[2]);
                scalar.linear(x.host(), new Weight(matrix.host(), null, bias.host()), out.host());
                cuda.linear(x.device(), new Weight(matrix.device(), null, bias.device()), out.device());
                twin.assertEqual("linear with bias " + Arrays.toString(size), out);
                scalar.linear(x.host(), Weight.of(matrix.host()), out.host());
                cuda.linear(x.device(), Weight.of(matrix.device()), out.device());
                twin.assertEqual("linear " + Arrays.toString(size), out);
            }
        }
        Twin.Pair x = twin.floats(type, 6 * 4, 24);
        Twin.Pair matrices = twin.floats(type, 4 * 40, 24, 0, 4, 40, 24);
        Twin.Pair out = twin.poisoned(type, 6 * 4, 40);
        scalar.headLinear(x.host(), matrices.host(), out.host());
        cuda.headLinear(x.device(), matrices.device(), out.device());
        twin.assertEqual("headLinear", out);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void rope(DType type) {
        for (boolean interleaved : new boolean[] {false, true}) {
            Twin.Pair x = twin.floats(type, 4, 3 * 48);
            Twin.Pair table = twin.floats(DType.F32, 50, 16, 0);
            Twin.Pair positions = twin.ints(0, 49, 7, 7);
            scalar.rope(x.host(), positions.host(), table.host(), 3, 48, 32, 16, interleaved);
            cuda.rope(x.device(), positions.device(), table.device(), 3, 48, 32, 16, interleaved);
            twin.assertEqual("rope", x);
        }
        for (DType cache : new DType[] {type, DType.BF16}) {
            ropeAndStore(type, cache, 4, 32, 24, 20);
            ropeAndStore(type, cache, 4, 32, 32, 16);
            ropeAndStore(type, cache, 70, 128, 128, 128);
        }
    }

    /** Three tokens, two heads of keys; values may be shorter and heads turn in their first elements only. */
    private static void ropeAndStore(DType type, DType cache, int heads, int headDim, int rotaryDim, int valueDim) {
        Twin.Pair table = twin.floats(DType.F32, 50, rotaryDim, 0);
        Twin.Pair positions = twin.ints(0, 49, 7);
        Twin.Pair slots = twin.ints(5, 2, 9);
        Twin.Pair q = twin.floats(type, 3, heads * headDim);
        Twin.Pair k = twin.floats(type, 3, 2 * headDim);
        Twin.Pair v = twin.floats(type, 3, 2 * valueDim);
        Twin.Pair keys = twin.floats(cache, 11, 2 * headDim);
        Twin.Pair values = twin.floats(cache, 11, 2 * valueDim);
        scalar.ropeAndStore(
                q.host(),
                k.host(),
                v.host(),
                positions.host(),
                table.host(),
                heads,
                2,
                headDim,
                false,
                slots.host(),
                keys.host(),
                values.host());
        cuda.ropeAndStore(
                q.device(),
                k.device(),
                v.device(),
                positions.device(),
                table.device(),
                heads,
                2,
                headDim,
                false,
                slots.device(),
                keys.device(),
                values.device());
        twin.assertEqual("rotated queries", q);
        twin.assertEqual("stored keys", keys);
        twin.assertEqual("stored values", values);
    }

    /** DeepSeek's latents: whole and mixed prompts, decode steps in one part and in several, more heads than a tile. */
    @ParameterizedTest
    @CsvSource({
        "16, 1 5 40 3, 1 9 700 333",
        "16, 1 1 1, 1 900 333",
        "5, 1, 1100",
        "128, 1 1, 70 800",
        "40, 7 1, 7 500",
        "16, 130, 500"
    })
    void latentAttentionOfDeepseek(int heads, String newTokens, String contexts) {
        int[] counts =
                Arrays.stream(newTokens.split(" ")).mapToInt(Integer::parseInt).toArray();
        int[] lengths =
                Arrays.stream(contexts.split(" ")).mapToInt(Integer::parseInt).toArray();
        int tokens = Arrays.stream(counts).sum();
        Twin.Batches batch = twin.batch(counts, lengths, 1200);
        Twin.Pair q = twin.floats(DType.BF16, tokens, heads * 576);
        Twin.Pair cache = twin.floats(DType.BF16, 1200, 576, 0);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, heads * 512);
        scalar.latentAttention(q.host(), cache.host(), batch.host(), heads, 512, 64, 0.05f, out.host());
        cuda.latentAttention(q.device(), cache.device(), batch.device(), heads, 512, 64, 0.05f, out.device());
        twin.assertEqual("latentAttention of " + heads + " heads, " + newTokens + " of " + contexts, out);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void attention(DType type) {
        int[][] heads = {
            {4, 4, 32, 32},
            {8, 2, 64, 64},
            {16, 2, 128, 128},
            {3, 1, 40, 24},
            {28, 4, 128, 128},
            {40, 2, 64, 64},
            {5, 5, 192, 128}
        };
        for (int[] h : heads) {
            Twin.Batches batch = twin.batch(new int[] {1, 5, 1, 40}, new int[] {1, 9, 700, 333}, 1200);
            int tokens = 47;
            Twin.Pair q = twin.floats(type, tokens, h[0] * h[2]);
            Twin.Pair keys = twin.floats(type, 1200, h[1] * h[2], 0);
            Twin.Pair values = twin.floats(type, 1200, h[1] * h[3], 0);
            Twin.Pair out = twin.poisoned(type, tokens, h[0] * h[3]);
            scalar.attention(
                    q.host(), keys.host(), values.host(), batch.host(), h[0], h[1], h[2], h[3], 0.3f, out.host());
            cuda.attention(
                    q.device(),
                    keys.device(),
                    values.device(),
                    batch.device(),
                    h[0],
                    h[1],
                    h[2],
                    h[3],
                    0.3f,
                    out.device());
            twin.assertEqual("attention " + Arrays.toString(h), out);
        }
        for (int[] h : heads) {
            Twin.Batches batch = twin.batch(new int[] {1, 1, 1}, new int[] {1, 800, 333}, 1200);
            Twin.Pair q = twin.floats(type, 3, h[0] * h[2]);
            Twin.Pair keys = twin.floats(type, 1200, h[1] * h[2], 0);
            Twin.Pair values = twin.floats(type, 1200, h[1] * h[3], 0);
            Twin.Pair out = twin.poisoned(type, 3, h[0] * h[3]);
            scalar.attention(
                    q.host(), keys.host(), values.host(), batch.host(), h[0], h[1], h[2], h[3], 0.1f, out.host());
            cuda.attention(
                    q.device(),
                    keys.device(),
                    values.device(),
                    batch.device(),
                    h[0],
                    h[1],
                    h[2],
                    h[3],
                    0.1f,
                    out.device());
            twin.assertEqual("decode attention " + Arrays.toString(h), out);
        }
        for (int h : new int[] {1, 5, 16}) {
            Twin.Batches batch = twin.batch(new int[] {1, 3}, new int[] {200, 77}, 300);
            Twin.Pair q = twin.floats(type, 4, h * 96);
            Twin.Pair cache = twin.floats(type, 300, 96, 0);
            Twin.Pair out = twin.poisoned(type, 4, h * 64);
            scalar.latentAttention(q.host(), cache.host(), batch.host(), h, 64, 32, 0.2f, out.host());
            cuda.latentAttention(q.device(), cache.device(), batch.device(), h, 64, 32, 0.2f, out.device());
            twin.assertEqual("latentAttention of " + h + " heads", out);
        }
    }

    @Test
    void gates() {
        for (GateSpec.Scoring scoring : GateSpec.Scoring.values()) {
            for (GateSpec.GroupScore score : GateSpec.GroupScore.values()) {
                for (int groups : new int[] {1, 8}) {
                    Twin.Pair logits = twin.floats(DType.F32, 19, 64, 0);
                    Twin.Pair bias = twin.floats(DType.F32, 1, 64, 0, 64);
                    boolean biased = scoring == GateSpec.Scoring.SIGMOID;
                    Twin.Pair ids = twin.intMatrix(19, 6, new int[19 * 6]);
                    Twin.Pair weights = twin.poisoned(DType.F32, 19, 6);
                    scalar.gate(
                            logits.host(),
                            spec(scoring, biased ? bias.host() : null, groups, score),
                            ids.host(),
                            weights.host());
                    cuda.gate(
                            logits.device(),
                            spec(scoring, biased ? bias.device() : null, groups, score),
                            ids.device(),
                            weights.device());
                    assertThat(twin.ints(ids.device()))
                            .isEqualTo(ids.host().memory().toArray(java.lang.foreign.ValueLayout.JAVA_INT));
                    twin.assertEqual("gate", weights);
                }
            }
        }
    }

    private static GateSpec spec(GateSpec.Scoring scoring, Tensor bias, int groups, GateSpec.GroupScore score) {
        return new GateSpec(scoring, bias, groups, Math.max(1, groups / 2), score, 6, true, 2.5f);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void experts(DType type) {
        for (int tokens : new int[] {1, 5, 70, 110, 333}) {
            experts(type, tokens, 72, 100);
            experts(type, tokens, 136, 104);
        }
    }

    /** Matrices of one byte an element, as they are: tiles of each size, whole blocks and parts of them. */
    @ParameterizedTest
    @CsvSource({"1, 64, 48", "9, 256, 144", "70, 144, 256", "400, 272, 208"})
    void expertsOfBlockScaledMatrices(int tokens, int hidden, int inner) {
        List<Weight> host = new ArrayList<>();
        List<Weight> onDevice = new ArrayList<>();
        for (int e = 0; e < 3 * 6; e++) {
            int rows = e < 12 ? inner : hidden;
            int columns = e < 12 ? hidden : inner;
            Twin.Pair matrix = twin.f8(rows, columns);
            Twin.Pair scales = twin.floats(DType.F32, (rows + 127) / 128, (columns + 127) / 128, 0);
            host.add(new Weight(matrix.host(), scales.host(), null));
            onDevice.add(new Weight(matrix.device(), scales.device(), null));
        }
        Twin.Pair x = twin.floats(DType.BF16, tokens, hidden);
        Twin.Pair ids = twin.intMatrix(tokens, 4, chosen(tokens));
        Twin.Pair weights = twin.floats(DType.F32, tokens, 4, 0);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, hidden);
        scalar.experts(x.host(), ids.host(), weights.host(), thirds(host), out.host());
        cuda.experts(x.device(), ids.device(), weights.device(), thirds(onDevice), out.device());
        assertThat(twin.error(out)).isLessThan(1e-2);
    }

    private static ExpertWeights thirds(List<Weight> all) {
        return new ExpertWeights(3, all.subList(0, 6), all.subList(6, 12), all.subList(12, 18));
    }

    /** Four of ten experts a token. */
    private static int[] chosen(int tokens) {
        int[] chosen = new int[tokens * 4];
        for (int t = 0; t < tokens; t++) {
            int[] distinct = twin.random().ints(0, 10).distinct().limit(4).toArray();
            System.arraycopy(distinct, 0, chosen, t * 4, 4);
        }
        return chosen;
    }

    private static void experts(DType type, int tokens, int hidden, int inner) {
        int count = 6;
        List<Twin.Pair> gate = new ArrayList<>();
        List<Twin.Pair> up = new ArrayList<>();
        List<Twin.Pair> down = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            gate.add(twin.floats(type, inner, hidden, 0));
            up.add(twin.floats(type, inner, hidden, 0));
            down.add(twin.floats(type, hidden, inner, 0));
        }
        Twin.Pair x = twin.floats(type, tokens, hidden);
        Twin.Pair ids = twin.intMatrix(tokens, 4, chosen(tokens));
        Twin.Pair weights = twin.floats(DType.F32, tokens, 4, 0);
        Twin.Pair out = twin.poisoned(type, tokens, hidden);
        scalar.experts(x.host(), ids.host(), weights.host(), weights(gate, up, down, true), out.host());
        cuda.experts(x.device(), ids.device(), weights.device(), weights(gate, up, down, false), out.device());
        // Two products in a row: intermediate rounding comes on top.
        assertThat(twin.error(out)).isLessThan(type == DType.BF16 ? 1e-2 : 2e-5);
    }

    private static ExpertWeights weights(List<Twin.Pair> gate, List<Twin.Pair> up, List<Twin.Pair> down, boolean host) {
        return new ExpertWeights(3, all(gate, host), all(up, host), all(down, host));
    }

    private static List<Weight> all(List<Twin.Pair> pairs, boolean host) {
        return pairs.stream()
                .map(pair -> Weight.of(host ? pair.host() : pair.device()))
                .toList();
    }

    @Test
    void argmaxTakesTheLowestOfEqualLogits() {
        Twin.Pair logits = twin.floats(DType.F32, 4, 151_936, 0);
        Twin.Pair out = twin.ints(7, 7, 7, 7);
        scalar.argmax(logits.host(), out.host());
        cuda.argmax(logits.device(), out.device());
        assertThat(twin.ints(out.device()))
                .isEqualTo(out.host().memory().toArray(java.lang.foreign.ValueLayout.JAVA_INT));
        Twin.Pair zeros = twin.floats(DType.F32, 2, 1000, 0);
        twin.device().toDevice(twin.arena().allocate(4L * 2000, 64), zeros.device());
        cuda.argmax(zeros.device(), out.device().rowRange(0, 2));
        assertThat(twin.ints(out.device().rowRange(0, 2))).containsExactly(0, 0);
    }
}
