package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.model.ModelException;
import dev.baton.tensor.Ops;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import dev.baton.tensor.parallel.Communicator;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class RankGroupTest {
    private static final List<int[]> PROMPT = List.of(new int[] {5, 6, 7, 8});

    private static RankGroup start(int ranks) {
        return Golden.start(Golden.LLAMA_TIED, Golden.options(ranks), CpuKernels.VECTOR);
    }

    private static long rankThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(t -> t.getName().startsWith("rank-tp"))
                .count();
    }

    @Test
    void aFailingRankFailsItsStepAndAllLaterOnesAndNobodyHangs() throws Exception {
        try (RankGroup group = start(2)) {
            DirectRun run = new DirectRun(group, group.maxStepTokens());
            run.generate(PROMPT, DirectRun.Options.greedy(2));
            group.setLayerListeners(rank -> (plan, layer) -> {
                        if (rank == 1 && layer == 1) {
                            throw new IllegalStateException("broken on purpose");
                        }
                    })
                    .join();
            assertThatThrownBy(() -> run.generate(PROMPT, DirectRun.Options.greedy(2)))
                    .isInstanceOfSatisfying(
                            EngineException.class,
                            e -> assertThat(e.code()).isEqualTo(EngineException.Code.UNAVAILABLE))
                    .hasMessageContaining("broken on purpose")
                    .hasRootCauseMessage("broken on purpose");
            group.setLayerListeners(null).get(10, TimeUnit.SECONDS);
            assertThatThrownBy(() -> run.generate(PROMPT, DirectRun.Options.greedy(1)))
                    .hasMessageContaining("broken on purpose");
        }
    }

    @Test
    void closingEndsTheThreadsAndLaterWorkIsRefused() {
        RankGroup group = start(2);
        assertThat(rankThreads()).isEqualTo(2);
        CompletableFuture<Void> queued = group.runBetweenSteps(rank -> {});
        group.close();
        group.close();
        assertThat(queued).isCompleted();
        assertThat(rankThreads()).isZero();
        assertThatThrownBy(() -> group.runBetweenSteps(rank -> {}).join())
                .isInstanceOf(CompletionException.class)
                .hasRootCauseMessage("the ranks are closed");
    }

    @Test
    void tasksRunOnEveryRanksOwnThreadAndTheirFailureIsTheirOwn() {
        try (RankGroup group = start(2)) {
            List<String> names = Collections.synchronizedList(new ArrayList<>());
            group.runBetweenSteps(rank ->
                            names.add(rank + " " + Thread.currentThread().getName()))
                    .join();
            assertThat(names).containsExactlyInAnyOrder("0 rank-tp0", "1 rank-tp1");
            assertThatThrownBy(() -> group.runBetweenSteps(rank -> {
                                throw new java.io.IOException("disk full");
                            })
                            .join())
                    .hasRootCauseMessage("disk full");
            new DirectRun(group, 64).generate(PROMPT, DirectRun.Options.greedy(1));
        }
    }

    /** Counts what an observer is told. */
    private static final class Counting implements RankObserver {
        private final List<String> calls = new ArrayList<>();

        @Override
        public Ops wrap(Ops ops) {
            calls.add("ops");
            return ops;
        }

        @Override
        public Communicator wrap(RankCommunicators.Member group) {
            Communicator communicator = group.communicator();
            calls.add("communicator " + communicator.rank() + "/" + communicator.size());
            return communicator;
        }

        @Override
        public void stepBegan(StepPlan plan) {
            calls.add("began");
        }

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {
            calls.add("ended " + step.await().nextIds().length);
        }

        @Override
        public void phaseBegan(Phase phase) {
            calls.add("+" + phase);
        }

        @Override
        public void phaseEnded(Phase phase) {
            calls.add("-" + phase);
        }
    }

    @Test
    void observersSeeTheStepsBetweenTheirSettingAndTheirRemoval() {
        try (RankGroup group = start(2)) {
            List<Counting> observers = List.of(new Counting(), new Counting());
            DirectRun run = new DirectRun(group, 64);
            run.generate(PROMPT, DirectRun.Options.greedy(1));
            group.setObservers(observers::get).join();
            run.generate(PROMPT, DirectRun.Options.greedy(1));
            group.setObservers(null).join();
            run.generate(PROMPT, DirectRun.Options.greedy(1));
            assertThat(observers.get(0).calls)
                    .containsExactly(
                            "ops",
                            "communicator 0/2",
                            "began",
                            "+PREPARE",
                            "-PREPARE",
                            "+FORWARD",
                            "-FORWARD",
                            "+LOGITS",
                            "-LOGITS",
                            "+SAMPLE",
                            "-SAMPLE",
                            "+SAMPLE",
                            "-SAMPLE",
                            "ended 1");
            assertThat(observers.get(1).calls).contains("began", "ended 1").contains("communicator 1/2");
        }
    }

    @Test
    void whatCannotStartSaysWhyAndLeavesNoThread() {
        assertThatThrownBy(() -> Golden.start(Golden.QWEN2, Golden.options(8), CpuKernels.VECTOR))
                .isInstanceOfSatisfying(
                        EngineException.class, e -> assertThat(e.code()).isEqualTo(EngineException.Code.CONFIGURATION))
                .hasMessageContaining("num_attention_heads = 7");
        LoadOptions huge = Golden.options(1).with().maxTotalTokens(100_000_000).build();
        DeviceSupplier small = (rank, ranks) -> CpuDevice.open(CpuOptions.of(1).withMemoryLimitBytes(64 << 20));
        assertThatThrownBy(() -> ModelLoader.load(Golden.folder(Golden.LLAMA_TIED), huge, small))
                .isInstanceOf(EngineException.class)
                .hasMessageContaining("--max-total-tokens 100000000 does not fit");
        assertThatThrownBy(() -> Golden.start(
                        Golden.LLAMA_TIED,
                        Golden.options(1).with().contextTokens(10_000_000).build(),
                        CpuKernels.VECTOR))
                .hasMessageContaining("--context-length 10000000 is longer than the model's 4096");
        assertThatThrownBy(() -> ModelLoader.load(Path.of("/no/such/model"), LoadOptions.DEFAULT, small))
                .isInstanceOf(ModelException.class)
                .hasMessageContaining("/no/such/model");
        assertThat(rankThreads()).isZero();
    }

    @Test
    void aPlanThatDoesNotFitTheTablesIsRefusedByTheRank() {
        try (RankGroup group = start(1)) {
            assertThatThrownBy(() -> new DirectRun(group, 1000)
                            .generate(Collections.nCopies(3, new int[150]), DirectRun.Options.greedy(1)))
                    .isInstanceOf(EngineException.class)
                    .hasMessageContaining("this rank takes 256 tokens");
        }
    }

    @Test
    void allDummyWeightsOfAShapeCanBeServed() {
        LoadOptions options = Golden.options(2)
                .with()
                .format(LoadOptions.Format.DUMMY)
                .collectiveDeadline(Duration.ofSeconds(20))
                .build();
        int[][] first;
        try (RankGroup group = Golden.start(Golden.DEEPSEEK, options, CpuKernels.VECTOR)) {
            first = new DirectRun(group, 64)
                    .generate(PROMPT, DirectRun.Options.greedy(5))
                    .tokens();
            assertThat(group.weightBytes()).isPositive();
            assertThat(group.cacheBytes()).isEqualTo(701L * 3 * (64 + 16) * 4);
        }
        try (RankGroup group =
                Golden.start(Golden.DEEPSEEK, options.with().tensorParallel(1).build(), CpuKernels.VECTOR)) {
            assertThat(new DirectRun(group, 64)
                            .generate(PROMPT, DirectRun.Options.greedy(5))
                            .tokens())
                    .isDeepEqualTo(first);
        }
    }
}
