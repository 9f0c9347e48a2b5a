package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.rehearse.ModelledTime;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.trace.expert.InitialLocation;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Moved experts make steps shorter where the link is what steps wait for, and change no answer. */
class MovesUnderALinkTest {
    private static final ParallelShape SHAPE = ParallelShape.tensorParallel(4).withAllToAll(AllToAll.NORMAL);
    private static final int PROMPTS = 24;
    private static final int PROMPT_TOKENS = 64;
    private static final int STEP_TOKENS = 256;
    /** Of the six passes that the prompts take. */
    private static final int MOVE_AFTER = 4;

    /**
     * Of the passes from the move on.
     *
     * @param balancedness of the ranks' tokens in all of them together
     * @param linkNanos that the modelled link took
     */
    private record Seen(double balancedness, long linkNanos, int[][] tokens) {}

    private static Seen run(int rebalanceEvery) {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), 4, DispatchAlgorithm.DYNAMIC)
                .withRebalancing(rebalanceEvery, 0, 1.0);
        ModelledTime time = new ModelledTime("link=20us,10MB/s", SHAPE.tensorParallel());
        CommunicatorSupplier groups = time.on(CommunicatorSupplier.local(SHAPE, Duration.ofMinutes(5)));
        LoadOptions load = Golden.options(4)
                .with()
                .shape(SHAPE)
                .experts(options)
                .maxRunningRequests(PROMPTS)
                .maxStepTokens(STEP_TOKENS)
                .maxTotalTokens(PROMPTS * (PROMPT_TOKENS + 8))
                .build();
        try (ModelLoader loader = ModelLoader.open(Golden.folder(Golden.QWEN3_MOE), load.format(), load.seed());
                RankGroup group = loader.start(load, Golden.cpu(CpuKernels.VECTOR, 1), groups)) {
            ExpertStatistics statistics =
                    Objects.requireNonNull(group.runner(0).balance()).balance().statistics();
            AtomicInteger passes = new AtomicInteger();
            Runnable afterStep = () -> {
                // Every rank has ended the pass, moves included.
                group.runBetweenSteps(rank -> {}).join();
                if (passes.incrementAndGet() == MOVE_AFTER) {
                    time.clear();
                    statistics.takeBalanceWindow(0);
                }
            };
            int[][] tokens = new DirectRun(group, STEP_TOKENS, afterStep)
                    .generate(prompts(), DirectRun.Options.greedy(2))
                    .tokens();
            assertThat(passes).hasValue(PROMPTS * PROMPT_TOKENS / STEP_TOKENS + 1);
            return new Seen(statistics.takeBalanceWindow(0).balancedness(), time.nanos(), tokens);
        }
    }

    /** Few ids, and in every pass the same: some experts are hot, and stay so. */
    private static List<int[]> prompts() {
        return IntStream.range(0, PROMPTS)
                .mapToObj(p -> IntStream.range(0, PROMPT_TOKENS)
                        .map(i -> 3 + (p + i) % 12)
                        .toArray())
                .toList();
    }

    @Test
    void stepsAreShorterOnceExpertsHaveMoved() {
        Seen stayed = run(1000);
        Seen moved = run(MOVE_AFTER);
        assertThat(moved.balancedness()).isGreaterThan(stayed.balancedness());
        assertThat(moved.linkNanos()).isLessThan(stayed.linkNanos());
        assertThat(moved.tokens()).isDeepEqualTo(stayed.tokens());
    }
}
