package dev.baton.cuda;

import dev.baton.model.DType;
import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Attention over slots that lie anywhere against the scalar operator: tiles that are not full, prefixes, more items than
 * blocks, contexts in parts that join in a cluster or in memory.
 */
@Tag("gpu")
class PagedAttentionTest {
    private static final float SCALE = 0.2f;
    private static Twin twin;

    @BeforeAll
    static void open() {
        twin = Twin.open();
    }

    @AfterAll
    static void close() {
        if (twin != null) {
            twin.close();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "2, 1, 128, 128, 2, 2",
        "2, 1, 128, 128, 64, 64",
        "1, 1, 128, 128, 128, 128",
        "1, 1, 128, 128, 129, 129",
        "1, 1, 64, 64, 200, 456",
        "16, 2, 128, 128, 300 1 77, 700 1 333",
        "4, 4, 128, 128, 129 256, 129 640",
        "28, 4, 128, 128, 40 3 130, 513 5 130",
        "32, 8, 128, 128, 150 90, 150 217",
        "32, 8, 64, 64, 90 150 17, 1100 150 128",
        "71, 1, 64, 64, 30, 129",
        "5, 5, 192, 128, 200 7, 385 7",
        "16, 16, 192, 128, 60 129 1, 60 257 127"
    })
    void extend(int heads, int kvHeads, int headDim, int valueDim, String newTokens, String contexts) {
        check(heads, kvHeads, headDim, valueDim, ints(newTokens), ints(contexts), SCALE);
    }

    @Test
    void manyShortSequences() {
        int[] counts = twin.random().ints(75, 2, 40).toArray();
        int[] lengths = Arrays.stream(counts)
                .map(count -> count + twin.random().nextInt(150))
                .toArray();
        check(8, 2, 128, 128, counts, lengths, SCALE);
    }

    /** A negative scale takes the kernel that every GPU has. */
    @ParameterizedTest
    @CsvSource({"16, 2, 128, 128", "28, 4, 64, 64", "5, 5, 192, 128"})
    void extendOfOlderGpus(int heads, int kvHeads, int headDim, int valueDim) {
        check(heads, kvHeads, headDim, valueDim, ints("65 1 130"), ints("321 1 130"), -SCALE);
    }

    @ParameterizedTest
    @CsvSource({
        "16, 2, 128, 1",
        "16, 2, 128, 1 15 16 17 63 64 65 127 1000",
        "16, 2, 128, 5000 4999 17",
        "28, 4, 64, 1024 513 700 2",
        "40, 2, 64, 300 4500",
        "71, 1, 128, 129",
        "8, 8, 128, 8 9 31 33"
    })
    void decode(int heads, int kvHeads, int headDim, String contexts) {
        int[] lengths = ints(contexts);
        int[] counts = new int[lengths.length];
        Arrays.fill(counts, 1);
        check(heads, kvHeads, headDim, headDim, counts, lengths, SCALE);
    }

    /** Enough blocks for two and three a multiprocessor. */
    @ParameterizedTest
    @CsvSource({"100, 128", "150, 128", "100, 64"})
    void decodeOfManySequences(int sequences, int headDim) {
        int[] lengths = twin.random().ints(sequences, 1, 260).toArray();
        int[] counts = new int[lengths.length];
        Arrays.fill(counts, 1);
        check(16, 2, headDim, headDim, counts, lengths, SCALE);
    }

    private static int[] ints(String text) {
        return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
    }

    private static void check(
            int heads, int kvHeads, int headDim, int valueDim, int[] counts, int[] lengths, float scale) {
        int tokens = Arrays.stream(counts).sum();
        int slots = 200 + Arrays.stream(lengths).max().orElseThrow();
        Twin.Batches batch = twin.batch(counts, lengths, slots);
        Twin.Pair q = twin.floats(DType.BF16, tokens, heads * headDim);
        Twin.Pair keys = twin.floats(DType.BF16, slots, kvHeads * headDim);
        Twin.Pair values = twin.floats(DType.BF16, slots, kvHeads * valueDim);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, heads * valueDim);
        twin.scalar()
                .attention(
                        q.host(),
                        keys.host(),
                        values.host(),
                        batch.host(),
                        heads,
                        kvHeads,
                        headDim,
                        valueDim,
                        scale,
                        out.host());
        twin.cuda()
                .attention(
                        q.device(),
                        keys.device(),
                        values.device(),
                        batch.device(),
                        heads,
                        kvHeads,
                        headDim,
                        valueDim,
                        scale,
                        out.device());
        twin.assertEqual(
                heads + " heads of " + headDim + ", " + Arrays.toString(counts) + " of " + Arrays.toString(lengths),
                out);
    }
}
