package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.Stage;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.PipelineOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.protocol.SamplingParams;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.parallel.Transfer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers over several stages give what one stage gives, and the stages work at the same time. */
class PipelineTest {
    private static LoadOptions options(int tensorParallel, int stages, PipelineOptions pipeline) {
        return Golden.options(tensorParallel)
                .with()
                .shape(ParallelShape.tensorParallel(tensorParallel).withPipelineParallel(stages))
                .pipeline(pipeline)
                .build();
    }

    private static int layers(String name) {
        return dev.baton.model.config.ModelConfig.read(Golden.folder(name)).layers();
    }

    static Stream<Arguments> layouts() {
        // A stage has at least one layer.
        return Golden.all()
                .flatMap(name -> Stream.of(new int[] {1, 2}, new int[] {1, 3}, new int[] {2, 2})
                        .filter(layout -> layout[1] <= layers(name))
                        .map(layout -> Arguments.of(name, layout[0], layout[1])));
    }

    @ParameterizedTest(name = "{0}, tp {1}, pp {2}")
    @MethodSource("layouts")
    void logitsAndGreedyTokensEqualTheStoredOnes(String name, int tensorParallel, int stages) {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(name));
        PipelineOptions pipeline = new PipelineOptions(List.of(), 1 + stages % 2, false);
        try (RankGroup group = Golden.start(name, options(tensorParallel, stages, pipeline), CpuKernels.VECTOR)) {
            GoldenTest.check(golden, group, DirectRun.Options.greedy(0).withSlotSeed(7), true);
            GoldenTest.check(golden, group, DirectRun.Options.greedy(0).withChunkTokens(3), true);
        }
    }

    @Test
    void messagesMayWaitForEachOtherAndLayersMayDivideUnevenly() {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(Golden.DEEPSEEK));
        PipelineOptions uneven = new PipelineOptions(List.of(2, 1), 1, true);
        try (RankGroup group = Golden.start(Golden.DEEPSEEK, options(1, 2, uneven), CpuKernels.VECTOR)) {
            assertThat(group.runner(0).cache().layers()).isEqualTo(2);
            assertThat(group.runner(1).cache().layers()).isEqualTo(1);
            GoldenTest.check(golden, group, DirectRun.Options.greedy(0), true);
        }
    }

    @Test
    void expertsMayBeSpreadOverTheRanksOfEachStage() {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(Golden.QWEN3_MOE));
        LoadOptions experts = options(2, 2, PipelineOptions.DEFAULT)
                .with()
                .shape(ParallelShape.tensorParallel(2).withExpertParallel(2).withPipelineParallel(2))
                .build();
        try (RankGroup group = Golden.start(Golden.QWEN3_MOE, experts, CpuKernels.VECTOR)) {
            GoldenTest.check(golden, group, DirectRun.Options.greedy(0), true);
        }
    }

    @Test
    void laterStagesTakeTheLayersThatDoNotDivide() {
        assertThat(Stream.of(0, 1, 2, 3).map(s -> new Stage(s, 4).layers(61))).containsExactly(15, 15, 15, 16);
        assertThat(Stream.of(0, 1, 2, 3).map(s -> new Stage(s, 4).firstLayer(61)))
                .containsExactly(0, 15, 30, 45);
        assertThat(Stream.of(0, 1, 2).map(s -> new Stage(s, 3).layers(5))).containsExactly(1, 2, 2);
        List<Integer> given = PipelineOptions.stageLayers("3, 1,1");
        assertThat(Stream.of(0, 1, 2).map(s -> new Stage(s, 3, given).firstLayer(5)))
                .containsExactly(0, 3, 4);
        refused(() -> new Stage(0, 4).layers(3), "--pp-size 4 is more than the model's 3 layers");
        refused(() -> new Stage(0, 2, given), "names 3 stages, --pp-size is 2");
        refused(() -> new Stage(0, 3, given).layers(6), "3,1,1 = 5 layers, the model has 6");
        refused(() -> new Stage(0, 2, List.of(0, 5)).layers(5), "every stage needs at least 1");
        refused(() -> PipelineOptions.stageLayers("3,x"), "like 8,8,10; got 3,x");
        refused(
                () -> Golden.start(Golden.LLAMA_TIED, options(1, 3, PipelineOptions.DEFAULT), CpuKernels.VECTOR),
                "2 / 3 leaves a stage empty");
    }

    private static void refused(org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining(message);
    }

    /** One prompt of one token in a row of its own. */
    private static StepPlan prompt(long step, int row) {
        return new StepPlan(
                step,
                ForwardMode.EXTEND,
                new int[] {row},
                new int[] {0, 1},
                new int[] {0},
                new int[] {row + 1},
                new int[] {7 + row},
                List.of(new StepPlan.Prefix(row, new int[0], new int[0])),
                new boolean[] {true},
                new SamplingParams[] {SamplingParams.greedy(2)},
                new long[1],
                new dev.baton.engine.request.EngineRequest.LogprobSpec[1]);
    }

    @Test
    void theFirstStageComputesTheNextStepWhileTheSecondComputesThisOne() throws Exception {
        try (RankGroup group =
                Golden.start(Golden.LLAMA_TIED, options(1, 2, PipelineOptions.DEFAULT), CpuKernels.VECTOR)) {
            CountDownLatch first = new CountDownLatch(2);
            CountDownLatch second = new CountDownLatch(1);
            group.setLayerListeners(rank -> (plan, layer) -> {
                        (rank == 0 ? first : second).countDown();
                        if (rank == 1) {
                            // Stage 0 gets to step 2 although step 1 does not end before that.
                            await(first);
                        }
                    })
                    .join();
            CompletableFuture<StepResult> one = group.run(prompt(1, 0));
            CompletableFuture<StepResult> two = group.run(prompt(2, 1));
            one.get(30, TimeUnit.SECONDS);
            two.get(30, TimeUnit.SECONDS);
            assertThat(second.getCount()).isZero();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            if (!latch.await(20, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the stages do not work at the same time");
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void everyMessageIsReportedAtBothEndsInItsTwoParts() {
        record Seen(RankObserver.Message message, int peer, Transfer.Moved moved) {}
        Map<Integer, List<Seen>> seen = new ConcurrentHashMap<>();
        try (RankGroup group =
                Golden.start(Golden.LLAMA_TIED, options(1, 2, PipelineOptions.DEFAULT), CpuKernels.VECTOR)) {
            group.setObservers(rank -> new Exchanges() {
                        @Override
                        public void exchanged(
                                Message message, long step, int peer, long start, long end, Transfer.Moved moved) {
                            assertThat(end).isGreaterThanOrEqualTo(start);
                            seen.computeIfAbsent(rank, r -> new ArrayList<>()).add(new Seen(message, peer, moved));
                        }
                    })
                    .join();
            new DirectRun(group, 64).generate(List.of(new int[] {5, 6, 7}), DirectRun.Options.greedy(3));
        }
        assertThat(seen.get(0).stream().filter(s -> s.message() == RankObserver.Message.STREAM_OUT))
                .hasSize(3);
        assertThat(seen.get(1).stream().filter(s -> s.message() == RankObserver.Message.STREAM_IN))
                .hasSize(3)
                .first()
                .satisfies(s -> {
                    assertThat(s.peer()).isZero();
                    assertThat(s.moved().rows()).isEqualTo(3);
                    assertThat(s.moved().moveNanos()).isPositive();
                });
        assertThat(seen.get(1).stream().filter(s -> s.message() == RankObserver.Message.IDS_OUT))
                .hasSize(3);
        // The last step's ids are wanted by nobody any more.
        assertThat(seen.get(0).stream().filter(s -> s.message() == RankObserver.Message.IDS_IN))
                .hasSizeBetween(2, 3);
    }

    /** Only the messages. */
    private abstract static class Exchanges implements RankObserver {
        @Override
        public dev.baton.tensor.Ops wrap(dev.baton.tensor.Ops ops) {
            return ops;
        }

        @Override
        public dev.baton.tensor.parallel.Communicator wrap(dev.baton.engine.arch.RankCommunicators.Member group) {
            return group.communicator();
        }

        @Override
        public void stepBegan(StepPlan plan) {}

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {}
    }

    @Test
    void aStageThatFailsEndsEveryStepWithItsCause() {
        for (int failing = 0; failing < 4; failing++) {
            int bad = failing;
            try (RankGroup group =
                    Golden.start(Golden.LLAMA_TIED, options(2, 2, PipelineOptions.DEFAULT), CpuKernels.VECTOR)) {
                DirectRun run = new DirectRun(group, 64);
                run.generate(List.of(new int[] {5, 6}), DirectRun.Options.greedy(2));
                group.setLayerListeners(rank -> (plan, layer) -> {
                            if (rank == bad) {
                                throw new IllegalStateException("stage broken on purpose");
                            }
                        })
                        .join();
                assertThatThrownBy(() -> run.generate(List.of(new int[] {5, 6}), DirectRun.Options.greedy(2)))
                        .isInstanceOfSatisfying(
                                EngineException.class,
                                e -> assertThat(e.code()).isEqualTo(EngineException.Code.UNAVAILABLE))
                        .hasRootCauseMessage("stage broken on purpose");
            }
        }
    }
}
