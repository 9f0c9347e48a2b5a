package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.balance.BalanceOptions;
import dev.baton.engine.balance.DispatchAlgorithm;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.trace.expert.InitialLocation;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Pipeline stages go together with the other layouts: the answers stay those that transformers computed. */
class PipelineLayoutsTest {
    static Stream<Arguments> layouts() {
        ParallelShape two = ParallelShape.tensorParallel(2);
        ParallelShape groups = two.withDataParallelAttention(2);
        ParallelShape four = ParallelShape.tensorParallel(4).withDataParallelAttention(2);
        return Stream.of(
                Arguments.of("tp 2", two.withPipelineParallel(3), 2, Golden.LLAMA_GQA),
                Arguments.of("ep 2", two.withExpertParallel(2).withPipelineParallel(2), 3, Golden.MIXTRAL),
                Arguments.of("dp attention 2", groups.withPipelineParallel(2), 2, Golden.QWEN3_MOE),
                Arguments.of("dp attention 2", groups.withPipelineParallel(3), 4, Golden.DEEPSEEK),
                Arguments.of(
                        "dispatch", two.withAllToAll(AllToAll.NORMAL).withPipelineParallel(2), 2, Golden.QWEN3_MOE),
                Arguments.of(
                        "dp attention 2, dispatch",
                        groups.withAllToAll(AllToAll.AUTO).withPipelineParallel(2),
                        3,
                        Golden.DEEPSEEK_V2),
                Arguments.of(
                        "dp attention 2x2, ep 4",
                        four.withExpertParallel(4).withPipelineParallel(2),
                        3,
                        Golden.DEEPSEEK));
    }

    @ParameterizedTest(name = "{3}: {0}, pp with {2} micro-batches")
    @MethodSource("layouts")
    void answersAreTheStoredOnes(String name, ParallelShape shape, int microBatches, String model) {
        requireStoredAnswers(shape, microBatches, model, BalanceOptions.NONE, Overlap.NONE);
    }

    /** Experts in redundant slots, which each stage moves every third pass, whatever the others do meanwhile. */
    static Stream<Arguments> balancedLayouts() {
        ParallelShape two = ParallelShape.tensorParallel(2);
        ParallelShape groups = two.withDataParallelAttention(2);
        return Stream.of(
                Arguments.of("ep 2", two.withExpertParallel(2).withPipelineParallel(2), 4, Golden.MIXTRAL),
                Arguments.of(
                        "dp attention 2, ep 2",
                        groups.withExpertParallel(2).withPipelineParallel(3),
                        3,
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dispatch", two.withAllToAll(AllToAll.NORMAL).withPipelineParallel(2), 3, Golden.QWEN3_MOE));
    }

    @ParameterizedTest(name = "{3}: {0}, pp with {2} micro-batches")
    @MethodSource("balancedLayouts")
    void answersAreTheStoredOnesWhileExpertsMove(String name, ParallelShape shape, int microBatches, String model) {
        BalanceOptions experts = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), 2, DispatchAlgorithm.DYNAMIC)
                .withRebalancing(3, 1, 1.0);
        requireStoredAnswers(shape, microBatches, model, experts, Overlap.NONE);
    }

    /** Layouts whose tokens travel; of three stages the first has no experts and computes its steps whole. */
    static Stream<Arguments> dispatchedLayouts() {
        ParallelShape two = ParallelShape.tensorParallel(2);
        ParallelShape groups = two.withDataParallelAttention(2);
        return Stream.of(
                Arguments.of("", two.withAllToAll(AllToAll.NORMAL).withPipelineParallel(2), 3, Golden.QWEN3_MOE),
                Arguments.of(
                        "dp attention 2",
                        groups.withAllToAll(AllToAll.AUTO).withPipelineParallel(2),
                        3,
                        Golden.DEEPSEEK_V2),
                Arguments.of(
                        "dp attention 2",
                        groups.withAllToAll(AllToAll.LOW_LATENCY).withPipelineParallel(3),
                        3,
                        Golden.DEEPSEEK));
    }

    @ParameterizedTest(name = "{3}: {0}, pp with {2} micro-batches")
    @MethodSource("dispatchedLayouts")
    void twoBatchesAnswerTheSame(String name, ParallelShape shape, int microBatches, String model) {
        requireStoredAnswers(shape, microBatches, model, BalanceOptions.NONE, Overlap.TWO_BATCH);
    }

    @Test
    void everythingTogether() {
        ParallelShape shape = ParallelShape.tensorParallel(4)
                .withDataParallelAttention(2)
                .withAllToAll(AllToAll.AUTO)
                .withDense(true, true)
                .withPipelineParallel(2);
        BalanceOptions experts = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), 4, DispatchAlgorithm.STATIC)
                .withRebalancing(3, 1, 1.0);
        requireStoredAnswers(shape, 3, Golden.DEEPSEEK, experts, Overlap.TWO_BATCH);
    }

    private static void requireStoredAnswers(
            ParallelShape shape, int microBatches, String model, BalanceOptions experts, Overlap overlap) {
        Golden.Answers stored = Golden.answersTwice(model);
        List<int[]> prompts = stored.prompts();
        List<List<Integer>> expected = stored.greedy();
        LoadOptions options = Golden.options(1)
                .with()
                .shape(shape)
                .experts(experts)
                .maxStepTokens(32)
                .dispatch(new DispatchOptions(WireFormat.F32, 32, overlap))
                .pipeline(new PipelineOptions(List.of(), microBatches, false))
                .build();
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .chunkedPrefillTokens(24)
                .microBatches(microBatches)
                .build();
        try (LayoutEngine server = new LayoutEngine(model, options, config)) {
            assertThat(server.ask(prompts.subList(0, 1), 24).getFirst().join()).isEqualTo(expected.getFirst());
            List<CompletableFuture<List<Integer>>> answers = server.ask(prompts, 24);
            assertThat(answers.stream().map(CompletableFuture::join)).isEqualTo(expected);
            server.assertNothingLeaks();
        }
    }
}
