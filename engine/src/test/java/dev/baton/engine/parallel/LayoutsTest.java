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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A layout changes where a model is computed, never its greedy answers: those that transformers computed. */
class LayoutsTest {
    private static final SchedulerConfig CONFIG =
            SchedulerConfig.DEFAULT.toBuilder().chunkedPrefillTokens(24).build();

    private static ParallelShape tp(int ranks) {
        return ParallelShape.tensorParallel(ranks);
    }

    static Stream<Arguments> layouts() {
        return Stream.of(
                Arguments.of("dp attention 2x1", tp(2).withDataParallelAttention(2), Golden.LLAMA_TIED),
                Arguments.of("dp attention 2x2", tp(4).withDataParallelAttention(2), Golden.LLAMA_GQA),
                Arguments.of("dp attention 2", tp(2).withDataParallelAttention(2), Golden.QWEN3_MOE),
                Arguments.of("dp attention 2x2", tp(4).withDataParallelAttention(2), Golden.DEEPSEEK),
                Arguments.of("dp attention 4", tp(4).withDataParallelAttention(4), Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 4, dp head",
                        tp(4).withDataParallelAttention(4).withDense(false, true),
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 2x2, dense whole, dp head",
                        tp(4).withDataParallelAttention(2).withDense(true, true),
                        Golden.DEEPSEEK_V2),
                Arguments.of("dense whole", tp(2).withDense(true, false), Golden.DEEPSEEK_V2),
                Arguments.of("ep 2 of tp 2", tp(2).withExpertParallel(2), Golden.MIXTRAL),
                Arguments.of("ep 2 of tp 4", tp(4).withExpertParallel(2), Golden.QWEN3_MOE),
                Arguments.of("ep 4", tp(4).withExpertParallel(4), Golden.DEEPSEEK_V2),
                Arguments.of("ep 2, fp8 weights", tp(2).withExpertParallel(2), Golden.DEEPSEEK_FP8),
                Arguments.of(
                        "dp attention 4, ep 4",
                        tp(4).withDataParallelAttention(4).withExpertParallel(4),
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 2x2, ep 2",
                        tp(4).withDataParallelAttention(2).withExpertParallel(2),
                        Golden.DEEPSEEK),
                Arguments.of("ep 8", tp(8).withExpertParallel(8).withDataParallelAttention(8), Golden.DEEPSEEK_V2),
                Arguments.of("tp 2, dispatch normal", tp(2).withAllToAll(AllToAll.NORMAL), Golden.QWEN3_MOE),
                Arguments.of("tp 4, dispatch auto", tp(4).withAllToAll(AllToAll.AUTO), Golden.DEEPSEEK_V2),
                Arguments.of(
                        "dp attention 4, dispatch normal",
                        tp(4).withDataParallelAttention(4).withAllToAll(AllToAll.NORMAL),
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 4, dispatch low latency",
                        tp(4).withDataParallelAttention(4).withAllToAll(AllToAll.LOW_LATENCY),
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 2x2, dispatch auto, dense whole, dp head",
                        tp(4).withDataParallelAttention(2)
                                .withAllToAll(AllToAll.AUTO)
                                .withDense(true, true),
                        Golden.DEEPSEEK),
                Arguments.of(
                        "dp attention 8, dispatch auto",
                        tp(8).withDataParallelAttention(8).withAllToAll(AllToAll.AUTO),
                        Golden.DEEPSEEK_V2));
    }

    @ParameterizedTest(name = "{0}: {2}")
    @MethodSource("layouts")
    void answersAreTheStoredOnes(String name, ParallelShape shape, String model) {
        requireStoredAnswers(model, shape, BalanceOptions.NONE, Overlap.NONE);
    }

    /** Experts in redundant slots, chosen statically or at random, and moving every third pass. */
    static Stream<Arguments> balancedLayouts() {
        ParallelShape groups = tp(4).withDataParallelAttention(4).withExpertParallel(4);
        return Stream.of(
                Arguments.of("dp attention 4, ep 4, static", groups, Golden.DEEPSEEK, 4, DispatchAlgorithm.STATIC),
                Arguments.of("dp attention 4, ep 4, dynamic", groups, Golden.DEEPSEEK, 8, DispatchAlgorithm.DYNAMIC),
                Arguments.of(
                        "ep 2 of tp 4", tp(4).withExpertParallel(2), Golden.QWEN3_MOE, 2, DispatchAlgorithm.DYNAMIC),
                Arguments.of(
                        "ep 2, fp8 weights",
                        tp(2).withExpertParallel(2),
                        Golden.DEEPSEEK_FP8,
                        2,
                        DispatchAlgorithm.STATIC),
                Arguments.of("ep 2", tp(2).withExpertParallel(2), Golden.MIXTRAL, 0, DispatchAlgorithm.STATIC),
                Arguments.of(
                        "dp attention 4, dispatch normal",
                        tp(4).withDataParallelAttention(4).withAllToAll(AllToAll.NORMAL),
                        Golden.DEEPSEEK,
                        8,
                        DispatchAlgorithm.STATIC),
                Arguments.of(
                        "dp attention 2x2, dispatch auto",
                        tp(4).withDataParallelAttention(2).withAllToAll(AllToAll.AUTO),
                        Golden.DEEPSEEK,
                        4,
                        DispatchAlgorithm.DYNAMIC));
    }

    @ParameterizedTest(name = "{0}: {2}, {3} redundant, {4}")
    @MethodSource("balancedLayouts")
    void answersAreTheStoredOnesWhileExpertsMove(
            String name, ParallelShape shape, String model, int redundant, DispatchAlgorithm dispatch) {
        BalanceOptions experts = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), redundant, dispatch)
                .withRebalancing(3, 1, 1.0);
        requireStoredAnswers(model, shape, experts, Overlap.NONE);
    }

    static Stream<Arguments> overlapping() {
        return layouts().filter(layout -> ((ParallelShape) layout.get()[1]).allToAll() != AllToAll.NONE);
    }

    @ParameterizedTest(name = "two batches, {0}: {2}")
    @MethodSource("overlapping")
    void twoBatchesAnswerTheSame(String name, ParallelShape shape, String model) {
        requireStoredAnswers(model, shape, BalanceOptions.NONE, Overlap.TWO_BATCH);
    }

    @ParameterizedTest(name = "single batch, {0}: {2}")
    @MethodSource("overlapping")
    void oneBatchBesideItsSharedExpertsAnswersTheSame(String name, ParallelShape shape, String model) {
        requireStoredAnswers(model, shape, BalanceOptions.NONE, Overlap.SINGLE_BATCH);
    }

    private static void requireStoredAnswers(
            String model, ParallelShape shape, BalanceOptions experts, Overlap overlap) {
        Golden.Answers stored = Golden.answersTwice(model);
        List<int[]> prompts = stored.prompts();
        List<List<Integer>> expected = stored.greedy();
        LoadOptions options = Golden.options(1)
                .with()
                .shape(shape)
                .experts(experts)
                .maxStepTokens(32)
                .dispatch(new DispatchOptions(WireFormat.F32, 32, overlap))
                .build();
        try (LayoutEngine server = new LayoutEngine(model, options, CONFIG)) {
            // One alone: all groups but one are idle.
            assertThat(server.ask(prompts.subList(0, 1), 24).getFirst().join()).isEqualTo(expected.getFirst());
            List<CompletableFuture<List<Integer>>> answers = server.ask(prompts, 24);
            assertThat(answers.stream().map(CompletableFuture::join)).isEqualTo(expected);
            server.assertNothingLeaks();
        }
    }
}
