package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.cuda.GatedProduct.Tile;
import dev.baton.model.DType;
import dev.baton.tensor.Weight;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Gate and up products with silu x mul in them against the host's operators. */
@Tag("gpu")
class GatedProductTest {
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

    /** Less than a stage of k, whole stages, rings that go round; tiles that are not full at either side. */
    @ParameterizedTest
    @EnumSource(Tile.class)
    void equalsTheHostsProduct(Tile tile) {
        int[] steps = tile == Tile.MANY ? new int[] {1, 300, 1000} : new int[] {1, tile.tokens() - 31, tile.tokens()};
        for (int tokens : steps) {
            check(tile, tokens, 40, 32);
            check(tile, tokens, 128, 416);
            check(tile, tokens, 1000, 224);
        }
    }

    private static void check(Tile tile, int tokens, int in, int inner) {
        Twin.Pair x = twin.floats(DType.BF16, tokens, in);
        Twin.Pair weight = twin.floats(DType.BF16, 2 * inner, in);
        Twin.Pair out = twin.poisoned(DType.BF16, tokens, 2 * inner);
        twin.scalar().gatedLinear(x.host(), Weight.of(weight.host()), out.host());
        GatedProduct product = ((CudaOps) twin.cuda()).gatedProduct();
        assertThat(product.multiply(tile, x.device(), Weight.of(weight.device()), out.device()))
                .isTrue();
        Twin.Pair half =
                new Twin.Pair(out.host().columnRange(0, inner), out.device().columnRange(0, inner));
        twin.assertEqual(tokens + " tokens of " + in + " by twice " + inner + ", " + tile, half);
    }
}
