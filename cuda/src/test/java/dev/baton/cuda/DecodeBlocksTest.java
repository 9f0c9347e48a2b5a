package dev.baton.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecodeBlocksTest {
    private static final int MULTIPROCESSORS = 132;
    private static final int MOST_SHARED = (227 << 10) - 4096;

    /** Rows are sequences times key heads: 2 of Qwen2.5-3B, 8 of Llama-3.1-8B. */
    @ParameterizedTest
    @CsvSource({
        "2, 1024, 8, 3, 1, 8",
        "2, 2048, 8, 3, 2, 8",
        "2, 100, 8, 3, 1, 1",
        "2, 8192, 8, 3, 1, 64",
        "32, 2048, 8, 3, 3, 4",
        "64, 2048, 8, 3, 3, 2",
        "128, 2048, 8, 3, 3, 1",
        "192, 2048, 4, 2, 2, 2",
        "256, 2048, 4, 3, 3, 1",
        "384, 2048, 4, 2, 2, 1",
        "512, 2048, 4, 3, 3, 1"
    })
    void roundsAreFull(int rows, int context, int warps, int depth, int stages, int splits) {
        assertThat(DecodeBlocks.of(rows, context, 128, MULTIPROCESSORS, MOST_SHARED))
                .isEqualTo(new DecodeBlocks(warps, depth, stages, splits));
    }

    @Test
    void ringsFitTheSharedMemoryOfAnyGpu() {
        for (int mostShared : new int[] {227 << 10, 163 << 10, 99 << 10, 64 << 10}) {
            for (int headDim : new int[] {64, 128}) {
                for (int rows = 1; rows < 700; rows += 13) {
                    for (int context = 1; context < 20_000; context += 977) {
                        DecodeBlocks blocks = DecodeBlocks.of(rows, context, headDim, 108, mostShared - 4096);
                        assertThat(blocks.sharedBytes(headDim)).isLessThanOrEqualTo(mostShared - 4096);
                        assertThat(blocks.warps()).isBetween(2, 8);
                        int share = (context + blocks.splits() - 1) / blocks.splits();
                        int units = ((share + 15) / 16 + blocks.warps() - 1) / blocks.warps();
                        assertThat(blocks.stages()).isEqualTo(Math.min(units, blocks.depth()));
                    }
                }
            }
        }
    }
}
