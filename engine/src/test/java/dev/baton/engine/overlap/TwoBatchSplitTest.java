package dev.baton.engine.overlap;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TwoBatchSplitTest {
    private static StepPlan plan(ForwardMode mode, Random random, int... counts) {
        int n = counts.length;
        int[] tokenStart = new int[n + 1];
        int[] starts = new int[n];
        boolean[] samples = new boolean[n];
        for (int b = 0; b < n; b++) {
            tokenStart[b + 1] = tokenStart[b] + counts[b];
            starts[b] = random.nextInt(5);
            samples[b] = random.nextBoolean();
        }
        int tokens = tokenStart[n];
        return new StepPlan(
                7,
                mode,
                IntStream.range(10, 10 + n).toArray(),
                tokenStart,
                starts,
                random.ints(tokens, 1, 1000).toArray(),
                random.ints(tokens, 0, 1000).toArray(),
                List.of(new StepPlan.Prefix(10, new int[] {1}, new int[] {2})),
                samples,
                IntStream.range(0, n)
                        .mapToObj(b -> SamplingParams.greedy(b + 1))
                        .toArray(SamplingParams[]::new),
                random.longs(n).toArray(),
                new EngineRequest.LogprobSpec[n]);
    }

    /** One line a token: sequence, position, slot, id. */
    private static List<String> tokens(StepPlan plan) {
        List<String> lines = new ArrayList<>();
        for (int b = 0; b < plan.sequences(); b++) {
            for (int i = 0; i < plan.count(b); i++) {
                int at = plan.tokenStart()[b] + i;
                lines.add("row " + plan.rows()[b] + " position " + (plan.starts()[b] + i) + " slot " + plan.slots()[at]
                        + " id " + plan.inputIds()[at] + " seed " + plan.seeds()[b]);
            }
        }
        return lines;
    }

    private static List<String> both(TwoBatchSplit split, Function<StepPlan, List<String>> lines) {
        List<String> all = new ArrayList<>(lines.apply(split.first()));
        all.addAll(lines.apply(split.second()));
        return all;
    }

    private static List<String> sampled(StepPlan plan) {
        return IntStream.range(0, plan.sequences())
                .filter(b -> plan.samples()[b])
                .mapToObj(b -> plan.rows()[b] + " at " + plan.contextLength(b))
                .toList();
    }

    @Test
    void splitThenMergeIsTheIdentityOnTokensPositionsAndSlots() {
        for (int seed = 0; seed < 2000; seed++) {
            Random random = new Random(seed);
            boolean decode = random.nextInt(3) == 0;
            int[] counts = new int[random.nextInt(7)];
            for (int b = 0; b < counts.length; b++) {
                counts[b] = decode ? 1 : 1 + random.nextInt(random.nextBoolean() ? 4 : 60);
            }
            StepPlan plan = plan(decode ? ForwardMode.DECODE : ForwardMode.EXTEND, random, counts);
            double threshold = random.nextDouble() / 2;
            TwoBatchSplit split = TwoBatchSplit.of(plan, threshold);
            assertThat(both(split, TwoBatchSplitTest::tokens)).isEqualTo(tokens(plan));
            assertThat(both(split, TwoBatchSplitTest::sampled)).isEqualTo(sampled(plan));
            int smaller = Math.min(split.first().tokens(), split.second().tokens());
            if (decode) {
                assertThat(split.first().tokens()).isEqualTo(counts.length / 2);
            } else if (plan.tokens() > 0) {
                assertThat(smaller).isGreaterThanOrEqualTo((int) (threshold * plan.tokens()));
            }
        }
    }

    @Test
    void aLongSequenceIsCutInTheMiddleOfTheTokens() {
        StepPlan plan = plan(ForwardMode.EXTEND, new Random(1), 4, 90, 6);
        TwoBatchSplit split = TwoBatchSplit.of(plan, 0.48);
        assertThat(split.first().tokens()).isEqualTo(50);
        assertThat(split.first().rows()).containsExactly(10, 11);
        assertThat(split.second().rows()).containsExactly(11, 12);
        assertThat(split.second().starts()[0]).isEqualTo(plan.starts()[1] + 46);
        assertThat(split.first().samples()[1]).isFalse();
        // Balanced between sequences: no cut inside of one.
        StepPlan even = plan(ForwardMode.EXTEND, new Random(1), 24, 25, 26, 25);
        assertThat(TwoBatchSplit.of(even, 0.48).first().sequences()).isEqualTo(2);
        assertThat(TwoBatchSplit.of(even, 0.48).second().sequences()).isEqualTo(2);
    }

    @Test
    void groupsGoInHalvesOnlyTogether() {
        Random random = new Random(2);
        StepPlan extend = plan(ForwardMode.EXTEND, random, 5);
        StepPlan decode = plan(ForwardMode.DECODE, random, 1, 1);
        StepPlan single = plan(ForwardMode.DECODE, random, 1);
        assertThat(TwoBatchSplit.possible(List.of(extend, StepPlan.idle()))).isTrue();
        assertThat(TwoBatchSplit.possible(List.of(decode, decode))).isTrue();
        assertThat(TwoBatchSplit.possible(List.of(extend, decode))).isFalse();
        assertThat(TwoBatchSplit.possible(List.of(decode, single))).isFalse();
        assertThat(TwoBatchSplit.possible(List.of(StepPlan.idle()))).isFalse();
    }

    @Test
    void theFirstHalfLeadsAndNeverLosesItsLead() {
        for (int lead : new int[] {0, 2}) {
            List<String> order = new ArrayList<>();
            List<LayerStages<String>> layers = new ArrayList<>();
            for (int layer = 0; layer < 3; layer++) {
                int l = layer;
                layers.add(new LayerStages<>(
                        List.of(
                                List.of(half -> order.add(half + l + "attention"), half -> order.add(half + l + "go")),
                                List.of(half -> order.add(half + l + "arrive"))),
                        lead));
            }
            LayerStages.run(layers, "a", "b");
            assertThat(order).hasSize(18).doesNotHaveDuplicates();
            for (int layer = 0; layer < 3; layer++) {
                for (String what : List.of("attention", "go", "arrive")) {
                    assertThat(order.indexOf("a" + layer + what)).isLessThan(order.indexOf("b" + layer + what));
                }
                if (lead == 0) {
                    // While a's tokens travel, b attends.
                    assertThat(order.subList(order.indexOf("a" + layer + "go"), order.indexOf("a" + layer + "arrive")))
                            .contains("b" + layer + "attention");
                }
            }
        }
    }
}
