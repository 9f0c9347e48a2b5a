package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.arch.Shard;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ParallelShapeTest {
    private static ParallelShape shape(int tp, int dp, boolean attention, int ep, int pp) {
        return new ParallelShape(tp, dp, attention, ep, pp, false, false, AllToAll.NONE, 1);
    }

    @Test
    void derivedSizesAreThoseOfTheDialect() {
        ParallelShape shape = shape(8, 4, true, 2, 2);
        assertThat(shape.attentionTensorParallel()).isEqualTo(2);
        assertThat(shape.expertTensorParallel()).isEqualTo(4);
        assertThat(shape.replicas()).isEqualTo(1);
        assertThat(shape.worldRanks()).isEqualTo(16);
        assertThat(shape.perScheduler("--max-running-requests", 64)).isEqualTo(16);
        assertThat(shape.perScheduler("--chunked-prefill-size", -1)).isEqualTo(-1);
        ParallelShape replicas = shape(2, 3, false, 1, 1);
        assertThat(replicas.replicas()).isEqualTo(3);
        assertThat(replicas.attentionGroups()).isEqualTo(1);
        assertThat(replicas.worldRanks()).isEqualTo(6);
        assertThat(replicas.perScheduler("--max-running-requests", 64)).isEqualTo(64);
    }

    @Test
    void aRanksPlaceInEveryGroup() {
        ParallelShape shape = shape(8, 4, true, 2, 2);
        // Rank 13 is tensor rank 5 of stage 1: the second rank of attention group 2.
        Layout layout = shape.layout(13);
        assertThat(layout.group()).isEqualTo(new Shard(2, 4));
        assertThat(layout.attention()).isEqualTo(new Shard(1, 2));
        assertThat(layout.dense()).isEqualTo(new Shard(5, 8));
        assertThat(layout.experts().experts()).isEqualTo(new Shard(1, 2));
        assertThat(layout.experts().columns()).isEqualTo(new Shard(1, 4));
        assertThat(layout.embedding()).isEqualTo(Shard.WHOLE);
        assertThat(layout.vocabulary()).isEqualTo(new Shard(5, 8));
        assertThat(layout.stage().index()).isEqualTo(1);
        RankCommunicators groups = CommunicatorSupplier.of(shape, 13, ranks -> member(ranks, 13));
        assertThat(groups.tensor().ranks()).containsExactly(8, 9, 10, 11, 12, 13, 14, 15);
        assertThat(groups.attention().ranks()).containsExactly(12, 13);
        assertThat(groups.experts().ranks()).containsExactly(9, 13);
    }

    private static Communicator member(List<Integer> ranks, int rank) {
        return LocalCommunicator.group(ranks.size(), Duration.ofSeconds(1)).get(ranks.indexOf(rank));
    }

    @Test
    void everyLayoutHoldsEveryPartOnceOrIsRefused() {
        int valid = 0;
        for (int tp : new int[] {1, 2, 4, 6, 8}) {
            for (int dp : new int[] {1, 2, 3, 4, 8}) {
                for (int ep : new int[] {1, 2, 3, 4, 8}) {
                    for (int pp : new int[] {1, 2}) {
                        if (tp % dp != 0 || tp % ep != 0) {
                            assertThatThrownBy(() -> shape(tp, dp, true, ep, pp))
                                    .isInstanceOf(EngineException.class);
                            continue;
                        }
                        valid++;
                        requireWhole(shape(tp, dp, true, ep, pp));
                    }
                }
            }
        }
        assertThat(valid).isGreaterThan(40);
    }

    private static void requireWhole(ParallelShape shape) {
        Set<List<Object>> experts = new HashSet<>();
        Set<List<Object>> attention = new HashSet<>();
        for (int rank = 0; rank < shape.replicaRanks(); rank++) {
            Layout layout = shape.layout(rank);
            experts.add(List.of(
                    layout.stage(), layout.experts().experts(), layout.experts().columns()));
            attention.add(List.of(layout.stage(), layout.group(), layout.attention()));
            int self = rank;
            RankCommunicators groups = CommunicatorSupplier.of(shape, rank, ranks -> member(ranks, self));
            for (int other : groups.attention().ranks()) {
                assertThat(shape.attentionGroupOf(other)).isEqualTo(shape.attentionGroupOf(rank));
            }
            for (int other : groups.experts().ranks()) {
                assertThat(shape.layout(other).experts().columns())
                        .isEqualTo(layout.experts().columns());
            }
            assertThat(groups.tensor().ranks()).hasSize(shape.tensorParallel()).contains(rank);
        }
        assertThat(experts).hasSize(shape.replicaRanks());
        assertThat(attention).hasSize(shape.replicaRanks());
    }

    @Test
    void localGroupsMeetTheirOwnMembersOnly() {
        ParallelShape shape = shape(4, 2, true, 4, 1);
        CommunicatorSupplier supplier = CommunicatorSupplier.local(shape, Duration.ofSeconds(5));
        try (CpuDevice device = CpuDevice.open(CpuOptions.of(1))) {
            RankCommunicators two = supplier.join(2, device);
            assertThat(two.attention().communicator().rank()).isZero();
            assertThat(two.tensor().communicator().rank()).isEqualTo(2);
            assertThat(two.experts()).isSameAs(two.tensor());
            assertThat(two.all()).hasSize(2);
        }
    }

    @Test
    void violationsShowTheArithmetic() {
        assertThatThrownBy(() -> shape(6, 4, true, 1, 1)).hasMessageContaining("6 = 1 * 4 + 2");
        assertThatThrownBy(() -> shape(4, 1, false, 3, 1)).hasMessageContaining("4 = 1 * 3 + 1");
        assertThatThrownBy(() -> new ParallelShape(4, 1, false, 2, 1, false, false, AllToAll.NORMAL, 1))
                .hasMessageContaining("4 / 2 must be 1");
        assertThatThrownBy(() -> shape(2, 2, false, 1, 1).withDense(false, true))
                .hasMessageContaining("--enable-dp-lm-head");
        assertThatThrownBy(() -> shape(8, 8, true, 1, 1).perScheduler("--max-running-requests", 4))
                .hasMessageContaining("4 / 8 = 0");
        assertThatThrownBy(() -> shape(0, 1, false, 1, 1)).hasMessageContaining("--tp-size must be at least 1");
    }
}
