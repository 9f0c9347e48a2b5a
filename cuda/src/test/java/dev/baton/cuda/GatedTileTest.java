package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.cuda.GatedProduct.Tile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Which gate and up products have silu x mul in them; needs no GPU. */
class GatedTileTest {
    /** Of an H100 and an H200. */
    private static final int MULTIPROCESSORS = 132;
    /** Of a block of theirs, less a page for what is static. */
    private static final int SHARED_BYTES = (227 << 10) - 4096;

    @ParameterizedTest
    @CsvSource({
        "33, 11008, UP_TO_64",
        "64, 11008, UP_TO_64",
        "65, 11008, UP_TO_128",
        "128, 11008, UP_TO_128",
        "129, 11008, UP_TO_256",
        "256, 11008, UP_TO_256",
        "64, 14336, UP_TO_64_OF_MORE_ROWS",
        "128, 14336, UP_TO_128_OF_MORE_ROWS",
        "4096, 11008, MANY",
        "8192, 11008, MANY",
        "16384, 14336, MANY"
    })
    void modelsWhoseTilesFillTheGpu(int tokens, int pairs, Tile tile) {
        assertThat(GatedProduct.tile(MULTIPROCESSORS, tokens, pairs)).isEqualTo(tile);
        assertThat(tile == Tile.MANY || tile.count(tokens, pairs) <= MULTIPROCESSORS)
                .as("one round of blocks")
                .isTrue();
    }

    @Test
    void whereMultiprocessorsWouldIdleThereIsNone() {
        assertThat(GatedProduct.tile(MULTIPROCESSORS, 64, 2048)).isNull();
        assertThat(GatedProduct.tile(MULTIPROCESSORS, 256, 14336)).isNull();
        assertThat(GatedProduct.tile(MULTIPROCESSORS, 64, 20000)).isNull();
        assertThat(GatedProduct.tile(MULTIPROCESSORS, 300, 11008)).isEqualTo(Tile.MANY);
        assertThat(GatedProduct.tile(MULTIPROCESSORS, 1000, 11008)).isNull();
    }

    @ParameterizedTest
    @EnumSource(Tile.class)
    void aTileFitsABlock(Tile tile) {
        assertThat(tile.sharedBytes()).isLessThanOrEqualTo(SHARED_BYTES);
        // Atoms of eight rows lie on 1,024-byte boundaries in every stage.
        assertThat(tile.tokens() % 64).isZero();
        assertThat(2 * tile.pairs() % 8).isZero();
    }
}
