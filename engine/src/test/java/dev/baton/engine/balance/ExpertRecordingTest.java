package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.trace.expert.ExpertWriter;
import dev.baton.trace.expert.InitialLocation;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is recorded equals what the gates chose, counted the long way from outside. */
class ExpertRecordingTest {
    /** Sees the results of one rank's gates, those of one stage; counts [layer][expert] of every pass. */
    private static final class GateWatcher implements RankObserver {
        private final int firstLayer;
        final List<int[][]> passes = new ArrayList<>();
        final List<int[][][]> chosen = new ArrayList<>();
        private int layer;

        GateWatcher(RankGroup group, int rank) {
            firstLayer = experts(group, rank).layers().stream()
                    .mapToInt(LayerExperts::layer)
                    .min()
                    .orElseThrow();
        }

        @Override
        public Ops wrap(Ops ops) {
            return (Ops) Proxy.newProxyInstance(
                    Ops.class.getClassLoader(), new Class<?>[] {Ops.class}, (proxy, method, arguments) -> {
                        try {
                            Object result = method.invoke(ops, arguments);
                            if (method.getName().equals("gate")) {
                                gated((Tensor) arguments[2]);
                            }
                            return result;
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
        }

        private void gated(Tensor ids) {
            int[][] rows = new int[ids.rows()][ids.columns()];
            for (int t = 0; t < rows.length; t++) {
                for (int k = 0; k < rows[t].length; k++) {
                    rows[t][k] = ids.memory().getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, t * ids.rowStride() + k);
                    passes.getLast()[layer][rows[t][k]]++;
                }
            }
            chosen.getLast()[layer] = rows;
            layer++;
        }

        @Override
        public void stepBegan(StepPlan plan) {
            layer = firstLayer;
            passes.add(new int[Nano.LAYERS][Nano.EXPERTS]);
            chosen.add(new int[Nano.LAYERS][0][]);
        }

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {}
    }

    private static ExpertStatistics statistics(RankGroup group) {
        return experts(group, 0).balance().statistics();
    }

    private static RankExperts experts(RankGroup group, int rank) {
        return Objects.requireNonNull(group.runner(rank).balance());
    }

    private static void record(RankGroup group, long number) {
        if (number != 0) {
            statistics(group).begin(number);
        }
        group.runBetweenSteps(rank -> experts(group, rank).record(number)).join();
    }

    private static void run(RankGroup group, Random random) {
        DirectRun.Options options = DirectRun.Options.greedy(4).withChunkTokens(1 + random.nextInt(30));
        new DirectRun(group, group.maxStepTokens()).generate(Nano.randomPrompts(random, 5), options);
    }

    /** Runs twice without, once with recording, and once more without. */
    private static ExpertStatistics.Recording recorded(RankGroup group, Map<Integer, GateWatcher> watchers, long seed) {
        Random random = new Random(seed);
        run(group, random);
        record(group, 1);
        run(group, random);
        record(group, 2);
        group.setObservers(watchers::get).join();
        run(group, random);
        group.setObservers(null).join();
        record(group, 0);
        run(group, random);
        return statistics(group).take();
    }

    /** The first rank of each stage that has experts; ranks of one stage gate the same tokens. */
    private static Map<Integer, GateWatcher> watchStages(RankGroup group) {
        Map<Integer, GateWatcher> watchers = new TreeMap<>();
        int inStage = group.size() / group.stages();
        for (int rank = 0; rank < group.size(); rank += inStage) {
            if (!experts(group, rank).layers().isEmpty()) {
                watchers.put(rank, new GateWatcher(group, rank));
            }
        }
        return watchers;
    }

    /** [layer][expert] of a pass, all watchers together. */
    private static int[][] sum(Collection<GateWatcher> watchers, int pass) {
        int[][] sum = new int[Nano.LAYERS][Nano.EXPERTS];
        for (GateWatcher watcher : watchers) {
            for (int layer = 0; layer < Nano.LAYERS; layer++) {
                for (int e = 0; e < Nano.EXPERTS; e++) {
                    sum[layer][e] += watcher.passes.get(pass)[layer][e];
                }
            }
        }
        return sum;
    }

    @ParameterizedTest(name = "{0}: tp {1}, ep {2}, pp {3}, {4} redundant, {5}")
    @CsvSource({
        "stat, 1, 1, 1, 0,",
        "stat, 2, 1, 1, 0,",
        "stat, 2, 2, 1, 4, static",
        "stat, 2, 2, 3, 4, static",
        "stat_approx, 4, 2, 1, 2, dynamic",
        "per_pass, 4, 4, 1, 8, dynamic",
        "per_pass, 2, 2, 2, 4, dynamic",
        "per_token, 2, 2, 1, 0,",
        "per_token, 1, 1, 3, 0,"
    })
    void everyChoiceIsCountedOnceAndNothingElse(String mode, int tp, int ep, int pp, int redundant, String dispatch)
            throws Exception {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(
                        new InitialLocation.Trivial(),
                        redundant,
                        dispatch == null ? null : DispatchAlgorithm.of(dispatch))
                .withRecorder(RecorderMode.of(mode), -1);
        ParallelShape shape =
                ParallelShape.tensorParallel(tp).withExpertParallel(ep).withPipelineParallel(pp);
        try (RankGroup group = Nano.start(shape, options)) {
            assertThat(experts(group, 0).isActive()).isEqualTo(redundant > 0);
            Map<Integer, GateWatcher> watchers = watchStages(group);
            ExpertStatistics.Recording recording = recorded(group, watchers, tp * 10 + ep);
            assertThat(watchers.values())
                    .allSatisfy(watcher -> assertThat(watcher.passes).hasSize(recording.size()));
            assertThat(recording.size()).isGreaterThan(3);
            assertThat(recording.utilisation()).isBetween(1.0 / ep - 1e-9, 1.0);
            for (int layer = 0; layer < Nano.LAYERS; layer++) {
                int number = layer;
                assertThat(Arrays.stream(recording.rankLoads()[layer]).sum())
                        .as("what the ranks computed of layer %d", layer)
                        .isEqualTo(watchers.values().stream()
                                .flatMap(watcher -> watcher.passes.stream())
                                .flatMapToInt(pass -> Arrays.stream(pass[number]))
                                .sum());
            }
            for (int pass = 0; pass < recording.size(); pass++) {
                int[][] counted = mode.startsWith("stat") ? recording.passes().get(pass) : logical(recording, pass);
                assertThat(counted).as("pass %d", pass).isDeepEqualTo(sum(watchers.values(), pass));
            }
            if (mode.equals("per_token")) {
                requireTokens(recording, watchers.values());
            }
            assertThat(statistics(group).take().size()).isZero();
        }
    }

    /** Ranks whose tokens travel gate tokens of their own: all gates together are counted. */
    @Test
    void tokensThatTravelAreCountedWhereTheyComeFrom() throws Exception {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), 8, DispatchAlgorithm.DYNAMIC)
                .withRecorder(RecorderMode.STAT, -1);
        ParallelShape shape = ParallelShape.tensorParallel(2).withAllToAll(AllToAll.NORMAL);
        try (RankGroup group = Nano.start(shape, options)) {
            Map<Integer, GateWatcher> watchers = Map.of(0, new GateWatcher(group, 0), 1, new GateWatcher(group, 1));
            ExpertStatistics.Recording recording = recorded(group, watchers, 5);
            assertThat(watchers.get(0).passes).hasSize(recording.size());
            for (int pass = 0; pass < recording.size(); pass++) {
                assertThat(recording.passes().get(pass))
                        .as("pass %d", pass)
                        .isDeepEqualTo(sum(watchers.values(), pass));
            }
        }
    }

    /** The ranks' files together. */
    private static int[][] logical(ExpertStatistics.Recording recording, int pass) {
        int[][] sum = new int[Nano.LAYERS][Nano.EXPERTS];
        for (List<ExpertWriter.Pass> rank : recording.ofRanks()) {
            int[][] physical = rank.get(pass).physical();
            for (int layer = 1; layer < Nano.LAYERS; layer++) {
                for (int slot = 0; slot < physical[layer].length; slot++) {
                    sum[layer][recording.physicalToLogical()[layer][slot]] += physical[layer][slot];
                }
            }
        }
        return sum;
    }

    private static void requireTokens(ExpertStatistics.Recording recording, Collection<GateWatcher> watchers) {
        List<ExpertWriter.Pass> first = recording.ofRanks().getFirst();
        for (int pass = 0; pass < first.size(); pass++) {
            ExpertWriter.Tokens tokens = Objects.requireNonNull(first.get(pass).tokens());
            int[][][] chosen = new int[Nano.LAYERS][0][];
            for (GateWatcher watcher : watchers) {
                for (int layer = watcher.firstLayer; layer < watcher.layer; layer++) {
                    chosen[layer] = watcher.chosen.get(pass)[layer];
                }
            }
            assertThat(tokens.chosen()).isDeepEqualTo(chosen);
            assertThat(tokens.inputIds()).hasSameSizeAs(tokens.positions());
            assertThat(Arrays.stream(tokens.inputIds())).allMatch(id -> id >= 0);
            assertThat(Arrays.stream(tokens.extendLengths())).allMatch(n -> n > 0);
        }
        assertThat(first.getFirst().tokens().mode()).isEqualTo("EXTEND");
        assertThat(first.getLast().tokens().mode()).isEqualTo("DECODE");
    }

    @Test
    void theBufferKeepsTheLastPassesAndAnEvenLoadCanBeFaked() throws Exception {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), 8, DispatchAlgorithm.FAKE)
                .withRecorder(RecorderMode.STAT, 2);
        try (RankGroup group = Nano.start(ParallelShape.tensorParallel(2).withExpertParallel(2), options)) {
            record(group, 1);
            DirectRun run = new DirectRun(group, group.maxStepTokens());
            List<int[]> prompts = List.of(new Random(1).ints(400, 3, 4000).toArray());
            run.generate(prompts, DirectRun.Options.greedy(3));
            ExpertStatistics.Recording recording = statistics(group).take();
            assertThat(recording.passes()).hasSize(2);
            for (int[][] pass : recording.passes()) {
                assertThat(pass[1])
                        .satisfies(
                                layer -> assertThat(Arrays.stream(layer).sum()).isEqualTo(Nano.TOP_K));
            }
            run.generate(prompts, DirectRun.Options.greedy(1));
            int[] layer = statistics(group).take().passes().getLast()[1];
            assertThat(Arrays.stream(layer).sum()).isEqualTo(400 * Nano.TOP_K);
            assertThat(Arrays.stream(layer)).allMatch(count -> count > 20 && count < 90);
        }
    }
}
