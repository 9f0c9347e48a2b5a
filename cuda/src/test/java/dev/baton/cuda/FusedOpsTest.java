package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.model.DType;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A layer's fused operators one after the other, against the operators that they stand for on the host. */
@Tag("gpu")
class FusedOpsTest {
    private static Twin twin;

    @BeforeAll
    static void open() {
        twin = Twin.open();
        Assumptions.assumeTrue(twin.cuda().fusedTokens(DType.BF16) > 0, "this GPU fuses nothing");
    }

    @AfterAll
    static void close() {
        if (twin != null) {
            twin.close();
        }
    }

    private static final int SLOTS = 300;

    /** A model's sizes. */
    private record Sizes(int hidden, int heads, int kvHeads, int headDim, int inner) {}

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 8, 9, 13, 16})
    void layerOfAFewTokens(int tokens) {
        check(tokens, new Sizes(192, 4, 2, 32, 136));
        check(tokens, new Sizes(2048, 16, 2, 128, 1032));
    }

    /** Products whose k is divided, where the GPU has products of warp groups; odd tiles of rows and slices of k. */
    @ParameterizedTest
    @ValueSource(ints = {17, 64, 100, 200})
    void layerOfADecodeStep(int tokens) {
        Assumptions.assumeTrue(tokens <= twin.cuda().fusedTokens(DType.BF16), "this GPU does not fuse so many");
        check(tokens, new Sizes(2048, 16, 2, 128, 1032));
        check(tokens, new Sizes(4160, 5, 5, 96, 136));
    }

    private static void check(int tokens, Sizes s) {
        int all = (s.heads() + 2 * s.kvHeads()) * s.headDim();
        int queries = s.heads() * s.headDim();
        Twin.Pair residual = twin.floats(DType.F32, tokens, s.hidden(), 0);
        Twin.Pair[] norms = new Twin.Pair[3];
        for (int i = 0; i < norms.length; i++) {
            norms[i] = twin.floats(DType.F32, 1, s.hidden(), 0, s.hidden());
        }
        Twin.Pair projection = twin.floats(DType.BF16, all, s.hidden());
        Twin.Pair bias = twin.floats(DType.BF16, 1, all, 0, all);
        Twin.Pair output = twin.floats(DType.BF16, s.hidden(), queries);
        Twin.Pair gateUp = twin.floats(DType.BF16, 2 * s.inner(), s.hidden());
        Twin.Pair down = twin.floats(DType.BF16, s.hidden(), s.inner());
        Twin.Pair table = twin.floats(DType.F32, 100, s.headDim(), 0);
        int[] slotIds = twin.random().ints(0, SLOTS).distinct().limit(tokens).toArray();
        Twin.Pair slots = twin.ints(slotIds);
        Twin.Pair positions = twin.ints(twin.random().ints(tokens, 0, 100).toArray());
        Twin.Pair keys = twin.floats(DType.BF16, SLOTS, s.kvHeads() * s.headDim());
        Twin.Pair values = twin.floats(DType.BF16, SLOTS, s.kvHeads() * s.headDim());
        Twin.Pair projected = twin.poisoned(DType.BF16, tokens, all);
        Twin.Pair gated = twin.poisoned(DType.BF16, tokens, 2 * s.inner());
        Twin.Pair scaled = twin.poisoned(DType.BF16, tokens, s.hidden());
        Twin.Pair squares = twin.poisoned(DType.F32, tokens, s.hidden() / NormedRows.GROUP);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, s.hidden());
        for (boolean onHost : new boolean[] {true, false}) {
            Ops ops = onHost ? twin.scalar() : twin.cuda();
            NormedRows rows = new NormedRows(of(residual, onHost), of(scaled, onHost), of(squares, onHost), 1e-5f);
            ops.startRows(rows, of(norms[0], onHost));
            ops.linearHeads(
                    rows,
                    new Weight(of(projection, onHost), null, of(bias, onHost)),
                    of(positions, onHost),
                    of(table, onHost),
                    s.heads(),
                    s.kvHeads(),
                    s.headDim(),
                    of(slots, onHost),
                    of(keys, onHost),
                    of(values, onHost),
                    of(projected, onHost));
            // Rows of the stream stay of the same size as the first ones.
            ops.linearAdd(
                    of(projected, onHost).columnRange(0, queries),
                    Weight.of(of(output, onHost)),
                    rows,
                    of(norms[1], onHost));
            ops.linearGated(rows, Weight.of(of(gateUp, onHost)), of(gated, onHost));
            ops.linearAdd(
                    of(gated, onHost).columnRange(0, s.inner()),
                    Weight.of(of(down, onHost)),
                    rows,
                    of(norms[2], onHost));
            ops.finishRows(rows, of(out, onHost));
        }
        String what = tokens + " tokens of " + s;
        twin.assertEqual("stored keys, " + what, keys);
        twin.assertEqual("stored values, " + what, values);
        Twin.Pair heads = new Twin.Pair(
                projected.host().columnRange(0, queries), projected.device().columnRange(0, queries));
        assertThat(twin.error(heads)).as("queries, " + what).isLessThan(4e-3);
        // Roundings of four products add up.
        assertThat(twin.error(residual)).as("stream, " + what).isLessThan(1e-2);
        assertThat(twin.error(out)).as("normed stream, " + what).isLessThan(1.2e-2);
    }

    private static Tensor of(Twin.Pair pair, boolean onHost) {
        return onHost ? pair.host() : pair.device();
    }
}
