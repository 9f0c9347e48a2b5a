package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.cuda.SplitProduct.Plan;
import dev.baton.model.DType;
import dev.baton.tensor.NormedRows;
import dev.baton.tensor.Weight;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Products whose k is divided among blocks, with the residual's sum and its norm, against the host's operators. */
@Tag("gpu")
class SplitProductTest {
    private static Twin twin;

    @BeforeAll
    static void open() {
        twin = Twin.openWithWarpGroups();
    }

    @AfterAll
    static void close() {
        if (twin != null) {
            twin.close();
        }
    }

    /** Every variant with few and with many slices; rings that are larger than a slice and that go round. */
    @ParameterizedTest
    @CsvSource({
        "17, 32, 1, 1",
        "32, 32, 2, 5",
        "31, 32, 3, 16",
        "33, 64, 1, 3",
        "64, 64, 2, 8",
        "50, 64, 3, 11",
        "65, 128, 1, 2",
        "100, 128, 2, 7",
        "128, 128, 3, 12",
        "129, 256, 1, 4",
        "200, 256, 2, 9",
        "256, 256, 2, 1"
    })
    void equalsTheHostsProductAndNorm(int tokens, int columns, int groups, int slices) {
        Plan plan = new Plan(columns, groups, slices);
        check(plan, tokens, 40 + 64 * (slices - 1), 192);
        check(plan, tokens, 1096, 1088);
        check(plan, tokens, 520, 2304);
    }

    private static void check(Plan plan, int tokens, int in, int hidden) {
        Twin.Pair x = twin.floats(DType.BF16, tokens, in);
        Twin.Pair weight = twin.floats(DType.BF16, hidden, in);
        Twin.Pair bias = twin.floats(DType.BF16, 1, hidden, 0, hidden);
        Twin.Pair norm = twin.floats(DType.F32, 1, hidden, 0, hidden);
        Twin.Pair residual = twin.floats(DType.F32, tokens, hidden);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, hidden);
        Twin.Pair squares = twin.poisoned(DType.F32, tokens, 1);
        twin.scalar()
                .linearAdd(
                        x.host(),
                        new Weight(weight.host(), null, bias.host()),
                        new NormedRows(residual.host(), out.host(), squares.host(), 1e-5f),
                        norm.host());
        SplitProduct product = ((CudaOps) twin.cuda()).splitProduct();
        assertThat(product.add(
                        plan,
                        x.device(),
                        new Weight(weight.device(), null, bias.device()),
                        new NormedRows(residual.device(), out.device(), squares.device(), 1e-5f),
                        norm.device()))
                .isTrue();
        String what = tokens + " tokens of " + in + " by " + hidden + ", " + plan;
        twin.assertEqual("stream, " + what, residual);
        twin.assertEqual("normed, " + what, out);
    }
}
