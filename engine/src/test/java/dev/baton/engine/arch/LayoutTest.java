package dev.baton.engine.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import org.junit.jupiter.api.Test;

class LayoutTest {
    @Test
    void keyHeadsAreSplitOrReplicatedSoThatEveryQueryHeadFindsItsOwn() {
        for (int[] shape : new int[][] {{16, 1}, {16, 2}, {16, 4}, {16, 8}, {14, 2}, {9, 1}, {28, 4}, {40, 8}}) {
            int heads = shape[0];
            int kvHeads = shape[1];
            for (int ranks : new int[] {1, 2, 4, 8}) {
                int next = 0;
                for (int rank = 0; rank < ranks; rank++) {
                    Layout layout = Layout.tensorParallel(rank, ranks);
                    int localHeads = layout.localHeads(heads, kvHeads);
                    int firstHead = layout.firstHead(heads, kvHeads);
                    assertThat(firstHead).isEqualTo(next);
                    assertThat(localHeads).isBetween(heads / ranks, (heads + ranks - 1) / ranks);
                    next += localHeads;
                    int localKv = layout.localKvHeads(kvHeads);
                    int firstKv = layout.firstKvHead(kvHeads);
                    for (int h = 0; h < localHeads; h++) {
                        int wanted = (firstHead + h) * kvHeads / heads;
                        assertThat(firstKv + h * localKv / localHeads).isEqualTo(wanted);
                    }
                }
                assertThat(next).isEqualTo(heads);
            }
        }
    }

    @Test
    void vocabularyShardsCoverEveryRowOnceWhateverTheRemainder() {
        for (int vocabulary : new int[] {512, 513, 1000, 151_936}) {
            for (int ranks : new int[] {1, 2, 3, 4, 8}) {
                int next = 0;
                for (int rank = 0; rank < ranks; rank++) {
                    Layout layout = Layout.tensorParallel(rank, ranks);
                    assertThat(rank * layout.vocabulary().vocabularyShardRows(vocabulary))
                            .isEqualTo(next);
                    next += layout.vocabulary().vocabularyRows(vocabulary);
                }
                assertThat(next).isEqualTo(vocabulary);
            }
        }
    }

    @Test
    void whatDoesNotDivideIsAnErrorThatShowsTheArithmetic() {
        assertThatThrownBy(() -> Layout.tensorParallel(0, 8).localHeads(7, 1))
                .hasMessageContaining("num_attention_heads = 7")
                .hasMessageContaining("at most 7");
        assertThatThrownBy(() -> new Shard(0, 2).length("num_attention_heads", 7))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining("num_attention_heads = 7")
                .hasMessageContaining("7 = 3 * 2 + 1");
        assertThatThrownBy(() -> Layout.tensorParallel(0, 4).localKvHeads(6))
                .hasMessageContaining("num_key_value_heads = 6")
                .hasMessageContaining("6 mod 4 = 2");
        assertThatThrownBy(() -> new Shard(3, 4).vocabularyRows(5))
                .hasMessageContaining("vocab_size = 5")
                .hasMessageContaining("rank 3 of 4");
        assertThatThrownBy(() -> new Shard(2, 2)).hasMessageContaining("rank 2 of 2");
    }
}
