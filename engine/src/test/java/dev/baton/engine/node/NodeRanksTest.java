package dev.baton.engine.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.DispatchOptions;
import dev.baton.engine.arch.DispatchOptions.Overlap;
import dev.baton.engine.arch.WireFormat;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.GoldenCheck;
import dev.baton.engine.forward.GoldenComparison;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.engine.parallel.LayoutEngine;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.protocol.SamplingParams;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Ranks on several nodes compute what ranks of one JVM compute. */
class NodeRanksTest {
    private static final double TOLERANCE = 2e-3;

    static Stream<Arguments> layouts() {
        return Golden.all()
                // 7 query heads do not split over 2 ranks.
                .filter(name -> !name.equals(Golden.QWEN2))
                .flatMap(name -> Stream.of(
                        Arguments.of(name, ParallelShape.tensorParallel(2), 2),
                        name.equals(Golden.LLAMA_GQA) ? Arguments.of(name, ParallelShape.tensorParallel(4), 2) : null,
                        name.equals(Golden.LLAMA_GQA) ? Arguments.of(name, ParallelShape.tensorParallel(4), 4) : null,
                        name.equals(Golden.QWEN3_MOE) || name.equals(Golden.DEEPSEEK)
                                ? Arguments.of(
                                        name, ParallelShape.tensorParallel(2).withExpertParallel(2), 2)
                                : null))
                .filter(java.util.Objects::nonNull);
    }

    @ParameterizedTest(name = "{0}, {1}, {2} nodes")
    @MethodSource("layouts")
    void logitsAndGreedyTokensEqualTheStoredOnes(String name, ParallelShape shape, int nodes) throws Exception {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(name));
        LoadOptions options = Golden.options(1).with().shape(shape).build();
        try (Nodes started = Nodes.start(Golden.folder(name), options, nodes)) {
            RankGroup group = started.node(0);
            GoldenCheck.Collector collector = new GoldenCheck.Collector();
            group.setLogitsListener(collector).join();
            GoldenComparison.Result result = GoldenCheck.compare(
                    golden,
                    new DirectRun(group, group.maxStepTokens()),
                    collector,
                    DirectRun.Options.greedy(0).withSlotSeed(7),
                    true,
                    GoldenComparison.Tolerance.of(TOLERANCE));
            assertThat(result.faults()).isEmpty();
            assertThat(result.tokens()).isEqualTo(4 * 24);
        }
    }

    static Stream<Arguments> served() {
        ParallelShape one = ParallelShape.tensorParallel(1);
        ParallelShape two = ParallelShape.tensorParallel(2);
        ParallelShape groups = two.withDataParallelAttention(2);
        ParallelShape four = ParallelShape.tensorParallel(4).withDataParallelAttention(2);
        return Stream.of(
                Arguments.of("an attention group a node", Golden.QWEN3_MOE, groups, 2),
                Arguments.of("an attention group a node, ep 2", Golden.DEEPSEEK, groups.withExpertParallel(2), 2),
                Arguments.of("an attention group over two nodes of four", Golden.LLAMA_GQA, four, 4),
                Arguments.of("dispatch", Golden.QWEN3_MOE, two.withAllToAll(AllToAll.NORMAL), 2),
                Arguments.of("low latency dispatch, four ranks", Golden.DEEPSEEK, four.withAllToAll(AllToAll.AUTO), 2),
                Arguments.of(
                        "dispatch within stages over nodes of one rank",
                        Golden.DEEPSEEK_V2,
                        groups.withAllToAll(AllToAll.AUTO).withPipelineParallel(2),
                        4),
                Arguments.of("a stage a node", Golden.LLAMA_GQA, one.withPipelineParallel(3), 3),
                Arguments.of("a stage over two nodes of four", Golden.MIXTRAL, two.withPipelineParallel(2), 4),
                // Ranks 0 to 2 and 3 to 5: the second stage has a rank on either node.
                Arguments.of("stages cut by nodes", Golden.DEEPSEEK, groups.withPipelineParallel(3), 2));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("served")
    void answersAreTheStoredOnes(String name, String model, ParallelShape shape, int nodes) throws Exception {
        requireStoredAnswers(model, shape, nodes, Overlap.NONE);
    }

    @ParameterizedTest
    @EnumSource(names = "NONE", mode = EnumSource.Mode.EXCLUDE)
    void whatIsComputedWhileTokensTravelToOtherNodesChangesNothing(Overlap overlap) throws Exception {
        ParallelShape groups = ParallelShape.tensorParallel(2).withDataParallelAttention(2);
        requireStoredAnswers(Golden.DEEPSEEK, groups.withAllToAll(AllToAll.AUTO), 2, overlap);
    }

    private static void requireStoredAnswers(String model, ParallelShape shape, int nodes, Overlap overlap)
            throws Exception {
        Golden.Answers stored = Golden.answersTwice(model);
        List<int[]> prompts = stored.prompts();
        List<List<Integer>> expected = stored.greedy();
        int microBatches = shape.pipelineParallel();
        LoadOptions options = Golden.options(1)
                .with()
                .shape(shape)
                .pipeline(new PipelineOptions(List.of(), microBatches, false))
                .dispatch(new DispatchOptions(WireFormat.F32, 32, overlap))
                .build();
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .maxRunningRequests(8)
                .chunkedPrefillTokens(64)
                .microBatches(microBatches)
                .build();
        try (Nodes started = Nodes.start(Golden.folder(model), options, nodes);
                LayoutEngine server =
                        new LayoutEngine(model, options, config, started.loader(), started.attentionGroups())) {
            assertThat(server.ask(prompts.subList(0, 1), 24).getFirst().join()).isEqualTo(expected.getFirst());
            assertThat(server.ask(prompts, 24).stream().map(CompletableFuture::join))
                    .isEqualTo(expected);
            server.assertNothingLeaks();
        }
    }

    private static StepPlan plan(int step) {
        return new StepPlan(
                step,
                ForwardMode.EXTEND,
                new int[] {1},
                new int[] {0, 3},
                new int[] {0},
                new int[] {1, 2, 3},
                new int[] {5, 6, 7},
                List.of(new StepPlan.Prefix(1, new int[0], new int[0])),
                new boolean[] {true},
                new SamplingParams[] {SamplingParams.greedy(1)},
                new long[] {1},
                new dev.baton.engine.request.EngineRequest.LogprobSpec[] {null});
    }

    private static LoadOptions two() {
        return Golden.options(2);
    }

    private static void failsEverywhere(Nodes nodes, CompletableFuture<StepResult> step, String... texts) {
        assertThatThrownBy(() -> step.get(20, TimeUnit.SECONDS))
                .cause()
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.UNAVAILABLE))
                .hasMessageContainingAll(texts);
        for (int n = 0; n < 2; n++) {
            RankGroup group = nodes.node(n);
            assertThatThrownBy(() -> group.run(plan(9)).get(20, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOf(EngineException.class);
        }
    }

    @Test
    void aNodeThatEndsInTheMiddleFailsTheStepsOfTheOthers() throws Exception {
        try (Nodes nodes = Nodes.start(Golden.folder(Golden.LLAMA_GQA), two(), 2)) {
            nodes.node(0).run(plan(1)).get(20, TimeUnit.SECONDS);
            // Its rank is busy with something else while the step waits for it.
            CompletableFuture<Void> release = new CompletableFuture<>();
            nodes.node(1).runBetweenSteps(rank -> release.get(20, TimeUnit.SECONDS));
            CompletableFuture<StepResult> step = nodes.node(0).run(plan(2));
            nodes.share(1).close();
            step.whenComplete((result, error) -> release.complete(null));
            failsEverywhere(nodes, step, "node 1", "has ended");
        }
    }

    @Test
    void aRankThatFailsEndsTheStepOnEveryNode() throws Exception {
        try (Nodes nodes = Nodes.start(Golden.folder(Golden.LLAMA_GQA), two(), 2)) {
            nodes.node(1)
                    .setLayerListeners(rank -> (plan, layer) -> {
                        throw new IllegalStateException("layer " + layer + " is broken");
                    })
                    .join();
            failsEverywhere(nodes, nodes.node(0).run(plan(1)), "node 1", "layer 0 is broken");
        }
    }

    @Test
    void everyNodeHasTheSmallestCapacity() throws Exception {
        try (Nodes nodes = Nodes.start(Golden.folder(Golden.LLAMA_GQA), two(), 2)) {
            assertThat(nodes.node(0).capacityTokens())
                    .isEqualTo(nodes.node(1).capacityTokens())
                    .isPositive();
            for (int n = 0; n < 2; n++) {
                assertThat(nodes.share(n).first()).isEqualTo(n);
                assertThat(nodes.node(n).size()).isEqualTo(2);
                assertThat(nodes.node(n).ranksHere()).isEqualTo(1);
            }
        }
    }

    @Test
    void ranksThatDoNotDivideAreRefusedWithTheArithmetic() {
        assertThatThrownBy(() -> NodeShare.requireDivides(ParallelShape.tensorParallel(4), 3))
                .hasMessageContaining("--nnodes 3")
                .hasMessageContaining("tp * pp = 4 * 1 = 4 = 1 * 3 + 1");
    }
}
