package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.TokenLogprob;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.cpu.CpuKernels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a step returns does not depend on how the tokens were cut into steps and batches. */
class StepOutputsTest {
    private static RankGroup group;

    @BeforeAll
    static void start() {
        group = Golden.start(Golden.DEEPSEEK, Golden.options(2), CpuKernels.VECTOR);
    }

    @AfterAll
    static void stop() {
        if (group != null) {
            group.close();
        }
    }

    private static List<int[]> prompts() {
        Random random = new Random(11);
        List<int[]> prompts = new ArrayList<>();
        for (int length : new int[] {5, 33, 17, 60}) {
            prompts.add(random.ints(length, 3, 500).toArray());
        }
        return prompts;
    }

    private static DirectRun.Outcome run(List<int[]> prompts, DirectRun.Options options) {
        return new DirectRun(group, group.maxStepTokens()).generate(prompts, options);
    }

    private static List<TokenLogprob> promptLogprobs(DirectRun.Outcome outcome, int sequence) {
        List<TokenLogprob> all = new ArrayList<>();
        for (DirectRun.TimedStep step : outcome.steps()) {
            List<TokenLogprob>[] lists = step.result().inputLogprobs();
            if (step.mode() == ForwardMode.EXTEND && sequence < lists.length && lists[sequence] != null) {
                all.addAll(lists[sequence]);
            }
        }
        return all;
    }

    @Test
    void promptLogProbabilitiesAreTheSameInChunksAndCoverThePromptOnce() {
        List<int[]> one = List.of(prompts().get(1));
        DirectRun.Options options =
                DirectRun.Options.greedy(2).withLogprobs(b -> new EngineRequest.LogprobSpec(4, 3, new int[] {7, 8}));
        List<TokenLogprob> whole = promptLogprobs(run(one, options), 0);
        assertThat(whole).hasSize(33 - 4);
        assertThat(whole.getFirst().logprob()).isNaN();
        for (int i = 0; i < whole.size(); i++) {
            assertThat(whole.get(i).tokenId()).isEqualTo(one.getFirst()[4 + i]);
        }
        assertThat(whole.get(9).topIds()).hasSize(3);
        assertThat(whole.get(9).chosenLogprobs()).hasSize(2);
        for (int chunk : new int[] {1, 4, 5, 32}) {
            List<TokenLogprob> chunked = promptLogprobs(run(one, options.withChunkTokens(chunk)), 0);
            assertThat(chunked).hasSameSizeAs(whole);
            for (int i = 1; i < whole.size(); i++) {
                assertThat(chunked.get(i).tokenId()).isEqualTo(whole.get(i).tokenId());
                assertThat(chunked.get(i).logprob()).isCloseTo(whole.get(i).logprob(), within(1e-4f));
                assertThat(chunked.get(i).topIds()).containsExactly(whole.get(i).topIds());
            }
        }
    }

    @Test
    void outputLogProbabilitiesAreThoseOfTheChosenTokens() {
        DirectRun.Outcome outcome = run(
                prompts(),
                DirectRun.Options.greedy(4).withLogprobs(b -> new EngineRequest.LogprobSpec(-1, 2, new int[0])));
        for (DirectRun.TimedStep step : outcome.steps()) {
            for (int b = 0; b < step.sequences(); b++) {
                TokenLogprob told = step.result().outputLogprobs()[b];
                assertThat(told.tokenId()).isEqualTo(step.result().nextIds()[b]);
                assertThat(told.topIds()[0]).isEqualTo(told.tokenId());
                assertThat(told.logprob()).isEqualTo(told.topLogprobs()[0]).isLessThanOrEqualTo(0);
            }
            assertThat(step.result().inputLogprobs()).containsOnlyNulls();
        }
    }

    @Test
    void sampledTokensDoNotDependOnTheBatch() {
        SamplingParams hot = SamplingParams.DEFAULT.withMaxNewTokens(12).withTemperature(1.3f);
        DirectRun.Options options = new DirectRun.Options(Integer.MAX_VALUE, 0, hot, 40, b -> null);
        int[][] together = run(prompts(), options).tokens();
        for (int b = 0; b < together.length; b++) {
            DirectRun.Options same = new DirectRun.Options(16, 3, hot, 40 + b, s -> null);
            assertThat(run(List.of(prompts().get(b)), same).tokens()[0]).containsExactly(together[b]);
        }
        Set<Integer> different = new HashSet<>();
        Arrays.stream(together[0]).forEach(different::add);
        assertThat(different.size()).isGreaterThan(4);
    }

    @Test
    void layersAreToldInOrderAfterTheirRowsAreWritten() {
        List<Integer> layers = new ArrayList<>();
        List<Float> written = new ArrayList<>();
        group.setLayerListeners(rank -> rank != 0
                        ? LayerListener.NONE
                        : (plan, layer) -> {
                            layers.add(layer);
                            KvCache cache = group.runner(0).cache();
                            written.add(cache.buffers(layer)
                                    .getFirst()
                                    .memory()
                                    .get(
                                            java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED,
                                            plan.slots()[0]
                                                    * KvCache.bytesPerSlot(
                                                            cache.buffers(layer).getFirst())));
                        })
                .join();
        run(List.of(new int[] {9, 10, 11}), DirectRun.Options.greedy(1).withSlotSeed(77));
        group.setLayerListeners(null).join();
        assertThat(layers).containsExactly(0, 1, 2);
        assertThat(written).hasSize(3).doesNotContain(0f);
    }

    @Test
    void aSequenceThatEntersWithItsPrefixContinuesAsIfItHadComputedIt() {
        int[] prompt = prompts().get(3);
        int[] expected = run(List.of(prompt), DirectRun.Options.greedy(2)).tokens()[0];
        // The run above left positions 0 to 59 in slots 1 to 60; another row takes them over.
        int[] slots = new int[prompt.length];
        Arrays.setAll(slots, i -> i + 1);
        StepPlan plan = new StepPlan(
                1000,
                ForwardMode.DECODE,
                new int[] {5},
                new int[] {0, 1},
                new int[] {prompt.length},
                new int[] {200},
                new int[] {expected[0]},
                List.of(new StepPlan.Prefix(5, slots, prompt)),
                new boolean[] {true},
                new SamplingParams[] {SamplingParams.greedy(2)},
                new long[] {0},
                new EngineRequest.LogprobSpec[1],
                new int[] {prompt.length});
        assertThat(group.run(plan).join().nextIds()).containsExactly(expected[1]);
    }
}
