package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.ExpertControl;
import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.node.NodeExperts;
import dev.baton.engine.node.Nodes;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.record.ExpertRecorder;
import dev.baton.trace.expert.InitialLocation;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Experts move between nodes, and node 0 records what all nodes count. */
class NodeExpertsTest {
    @BeforeAll
    static void open() {
        ExpertMoveTest.openReference();
    }

    @AfterAll
    static void close() {
        ExpertMoveTest.closeReference();
    }

    private static Nodes start(ParallelShape shape, BalanceOptions options, int nodes) throws Exception {
        return Nodes.start(Nano.folder(), Nano.options(shape, options), nodes, node -> Nodes.Half.NONE);
    }

    @ParameterizedTest(name = "tp {0}, pp {1} on {2} nodes, {3} redundant, {4} layers a chunk")
    @CsvSource({"2, 1, 2, 0, 1", "4, 1, 2, 8, 0", "2, 2, 4, 4, 1"})
    void everySlotOfEveryNodeHoldsWhatItsMapSaysWhileExpertsMove(int tp, int pp, int nodes, int redundant, int chunk)
            throws Exception {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), redundant, DispatchAlgorithm.STATIC)
                .withRebalancing(3, chunk, 1.0);
        ParallelShape shape =
                ParallelShape.tensorParallel(tp).withExpertParallel(tp).withPipelineParallel(pp);
        try (Nodes started = start(shape, options, nodes)) {
            Set<List<List<Integer>>> placements = new HashSet<>();
            ExpertMoveTest.requireAnswers(started.node(0), () -> {
                List<List<List<Integer>>> ofNodes = IntStream.range(0, nodes)
                        .mapToObj(node -> ExpertMoveTest.requireSlotsHoldWhatMapsSay(started.node(node)))
                        .toList();
                // Nodes that share a stage agree on its map.
                int ofStage = nodes / pp;
                for (int node = 0; node < nodes; node++) {
                    assertThat(ofNodes.get(node)).isEqualTo(ofNodes.get(node / ofStage * ofStage));
                }
                placements.add(ofNodes.getLast());
            });
            assertThat(placements).hasSizeGreaterThan(2);
        }
    }

    private static ExpertStatistics.Recording record(RankGroup group, ExpertRecorder.OtherRanks others) {
        ExpertControl recorder = ExpertRecorder.of(List.of(group), others);
        Random random = new Random(5);
        run(group, random);
        recorder.start().join();
        run(group, random);
        recorder.stop().join();
        run(group, random);
        others.settle().join();
        group.runOnReplica(rank -> {}).join();
        return Objects.requireNonNull(group.expertStatistics()).take();
    }

    private static void run(RankGroup group, Random random) {
        new DirectRun(group, group.maxStepTokens())
                .generate(
                        Nano.randomPrompts(random, 5),
                        DirectRun.Options.greedy(4).withChunkTokens(16));
    }

    private static List<String> text(List<int[][]> passes) {
        return passes.stream().map(Arrays::deepToString).toList();
    }

    @ParameterizedTest
    @EnumSource(
            value = RecorderMode.class,
            names = {"STAT", "PER_TOKEN"})
    void whatNodeZeroRecordsIsWhatOneJvmRecords(RecorderMode mode) throws Exception {
        BalanceOptions options = BalanceOptions.NONE.withRecorder(mode, -1);
        ParallelShape shape =
                ParallelShape.tensorParallel(2).withExpertParallel(2).withPipelineParallel(2);
        ExpertStatistics.Recording expected;
        try (RankGroup one = Nano.start(shape, options)) {
            expected = record(one, ExpertRecorder.OtherRanks.NONE);
        }
        try (Nodes started = start(shape, options, 4)) {
            RankGroup zero = started.node(0);
            ExpertStatistics.Recording got = record(zero, NodeExperts.of(started.share(0), zero));
            assertThat(got.size()).isEqualTo(expected.size()).isPositive();
            assertThat(text(got.passes())).isEqualTo(text(expected.passes()));
            assertThat(got.rankLoads()).isDeepEqualTo(expected.rankLoads());
            assertThat(got.utilisation()).isEqualTo(expected.utilisation());
            for (int rank = 0; rank < expected.ofRanks().size(); rank++) {
                assertThat(got.ofRanks().get(rank))
                        .usingRecursiveComparison()
                        .isEqualTo(expected.ofRanks().get(rank));
            }
        }
    }
}
