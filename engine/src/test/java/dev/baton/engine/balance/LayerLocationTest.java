package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LayerLocationTest {
    /** Every expert once, the rest at random, shuffled. */
    static int[] randomMap(Random random, int experts, int slots) {
        List<Integer> map = IntStream.range(0, slots)
                .map(i -> i < experts ? i : random.nextInt(experts))
                .boxed()
                .collect(Collectors.toList());
        Collections.shuffle(map, random);
        return map.stream().mapToInt(Integer::intValue).toArray();
    }

    @Test
    void everyChoiceHoldsTheExpertAndOwnAndNearReplicasComeFirst() {
        Random random = new Random(3);
        for (int round = 0; round < 200; round++) {
            int nodes = 1 << random.nextInt(3);
            int ranks = nodes * (1 + random.nextInt(3));
            int slots = ranks * (2 + random.nextInt(5));
            int experts = 1 + random.nextInt(slots);
            int[] map = randomMap(random, experts, slots);
            LayerLocation location = new LayerLocation(map, experts, ranks, nodes);
            int perRank = slots / ranks;
            for (int expert = 0; expert < experts; expert++) {
                Set<Integer> holders = new HashSet<>();
                int[] users = new int[slots];
                for (int slot : location.replicasOf(expert)) {
                    assertThat(map[slot]).isEqualTo(expert);
                    holders.add(slot / perRank);
                }
                for (int rank = 0; rank < ranks; rank++) {
                    int slot = location.nearest(rank, expert);
                    assertThat(map[slot]).isEqualTo(expert);
                    int r = rank;
                    int node = rank * nodes / ranks;
                    if (holders.contains(rank)) {
                        assertThat(slot / perRank).isEqualTo(r);
                    } else if (holders.stream().anyMatch(h -> h * nodes / ranks == node)) {
                        assertThat(slot / perRank * nodes / ranks).isEqualTo(node);
                    }
                    users[slot]++;
                    assertThat(map[location.anyOf(expert, random.nextInt(1 << 16))])
                            .isEqualTo(expert);
                }
                if (nodes == 1 && holders.size() == location.replicasOf(expert).length) {
                    // Replicas on ranks of their own are shared fairly.
                    int[] used = Arrays.stream(location.replicasOf(expert))
                            .map(s -> users[s])
                            .sorted()
                            .toArray();
                    assertThat(used[used.length - 1] - used[0]).isLessThanOrEqualTo(1);
                }
            }
            LayerLocation again = new LayerLocation(map, experts, ranks, nodes);
            for (int rank = 0; rank < ranks; rank++) {
                for (int expert = 0; expert < experts; expert++) {
                    assertThat(again.nearest(rank, expert)).isEqualTo(location.nearest(rank, expert));
                }
            }
        }
    }

    /** Every rank that lacks an expert it is to hold gets one message of it, from a slot that has it. */
    @Test
    void movesBringEveryRankWhatItLacks() {
        Random random = new Random(4);
        for (int round = 0; round < 200; round++) {
            int ranks = 1 + random.nextInt(6);
            int slots = ranks * (2 + random.nextInt(5));
            int experts = 1 + random.nextInt(slots);
            LayerLocation from = new LayerLocation(randomMap(random, experts, slots), experts, ranks, 1);
            int[] to = randomMap(random, experts, slots);
            int[] sends = new int[slots];
            Set<List<Integer>> arrived = new HashSet<>();
            int last = -1;
            for (MovePlan.Travel travel : MovePlan.of(from, to)) {
                assertThat(travel.expert()).isGreaterThanOrEqualTo(last);
                last = travel.expert();
                assertThat(from.expertAt(travel.fromSlot())).isEqualTo(travel.expert());
                assertThat(from.rankOf(travel.fromSlot())).isNotEqualTo(travel.toRank());
                assertThat(arrived.add(List.of(travel.toRank(), travel.expert())))
                        .isTrue();
                sends[travel.fromSlot()]++;
            }
            for (int slot = 0; slot < slots; slot++) {
                int rank = from.rankOf(slot);
                boolean had = Arrays.stream(from.replicasOf(to[slot])).anyMatch(s -> from.rankOf(s) == rank);
                assertThat(arrived.contains(List.of(rank, to[slot]))).isNotEqualTo(had);
            }
            for (int expert = 0; expert < experts; expert++) {
                int[] shares = Arrays.stream(from.replicasOf(expert))
                        .map(s -> sends[s])
                        .sorted()
                        .toArray();
                assertThat(shares[shares.length - 1] - shares[0]).isLessThanOrEqualTo(1);
            }
        }
    }

    @Test
    void balancednessIsTheMeanOverTheMostOfLayersWithTokens() {
        BalancednessMeter meter = new BalancednessMeter();
        assertThat(meter.last()).isNaN();
        assertThat(meter.measured(1, new long[][] {{0, 0}, {0, 0}})).isEmpty();
        String line = meter.measured(2, new long[][] {{0, 0}, {30, 10}, {5, 5}});
        assertThat(line)
                .isEqualTo("[Expert Balancedness] forward_pass_id=2 current_pass_balancedness=0.833"
                        + " last_10_average_balancedness=0.833 last_100_average_balancedness=0.833"
                        + " last_1000_average_balancedness=0.833 gpu_physical_count_sum=50");
        for (int i = 0; i < 20; i++) {
            meter.measured(3, new long[][] {{1, 1}});
        }
        assertThat(meter.average(10)).isEqualTo(1);
        assertThat(meter.average(100)).isBetween(0.98, 0.999);
    }
}
