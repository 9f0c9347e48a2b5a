package dev.baton.engine.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.forward.DirectRun;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.ExpertWeights;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.InitialLocation;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Wherever experts lie, and while they move, slots hold what the maps say and answers stay. */
class ExpertMoveTest {
    /** Holds every expert where it was loaded. */
    private static RankGroup reference;

    @BeforeAll
    static void openReference() {
        reference = Nano.start(ParallelShape.SINGLE, BalanceOptions.NONE);
    }

    @AfterAll
    static void closeReference() {
        reference.close();
    }

    static RankExperts experts(RankGroup group, int rank) {
        return Objects.requireNonNull(group.runner(rank).balance());
    }

    private static InitialLocation skewed() {
        double[][] counts = new double[Nano.LAYERS][Nano.EXPERTS];
        for (int layer = 0; layer < counts.length; layer++) {
            for (int e = 0; e < Nano.EXPERTS; e++) {
                counts[layer][e] = 1 + (e * 7 + layer) % Nano.EXPERTS * (e % 3);
            }
        }
        return new InitialLocation.Counts(new ExpertCounts("made up", counts, 1));
    }

    static void requireAnswers(RankGroup group, Runnable afterStep) throws Exception {
        Nano.Recorded recorded = Nano.recorded();
        assertThat(recorded.prompts()).hasSizeGreaterThan(2);
        int[][] tokens = new DirectRun(group, group.maxStepTokens(), afterStep)
                .generate(
                        recorded.prompts(),
                        DirectRun.Options.greedy(recorded.longestAnswer()).withChunkTokens(64))
                .tokens();
        for (int p = 0; p < tokens.length; p++) {
            assertThat(tokens[p])
                    .as("prompt %d", p)
                    .startsWith(recorded.answers().get(p));
        }
    }

    private static ParallelShape shape(int tp, int ep, int pp) {
        return ParallelShape.tensorParallel(tp).withExpertParallel(ep).withPipelineParallel(pp);
    }

    @ParameterizedTest(name = "tp {0}, ep {1}, pp {2}, {3} redundant, {4}, location {5}")
    @CsvSource({
        "4, 4, 1, 8, static, trivial",
        "4, 4, 1, 8, dynamic, trivial",
        "4, 4, 1, 8, dynamic, planned",
        "4, 2, 1, 4, static, planned",
        "2, 2, 1, 0, static, planned",
        "2, 2, 3, 4, dynamic, planned"
    })
    void replicasAndPlacementsLeaveAnswersAsTheyAre(
            int tp, int ep, int pp, int redundant, String dispatch, String location) throws Exception {
        InitialLocation where = location.equals("trivial") ? new InitialLocation.Trivial() : skewed();
        BalanceOptions options = BalanceOptions.NONE.withSlots(where, redundant, DispatchAlgorithm.of(dispatch));
        try (RankGroup group = Nano.start(shape(tp, ep, pp), options)) {
            requireSlotsHoldWhatMapsSay(group);
            requireAnswers(group, () -> {});
        }
    }

    @ParameterizedTest(name = "tp {0}, ep {1}, pp {2}, {3} redundant, {4}, {5} layers a chunk")
    @CsvSource({
        "4, 4, 1, 8, static, 1",
        "4, 4, 1, 8, dynamic, 0",
        "4, 2, 1, 2, dynamic, 3",
        "2, 2, 1, 0, static, 2",
        "2, 2, 2, 4, dynamic, 1",
        "4, 2, 3, 2, static, 0"
    })
    void everySlotHoldsWhatItsMapSaysAfterEveryStepWhileExpertsMove(
            int tp, int ep, int pp, int redundant, String dispatch, int chunk) throws Exception {
        BalanceOptions options = BalanceOptions.NONE
                .withSlots(new InitialLocation.Trivial(), redundant, DispatchAlgorithm.of(dispatch))
                .withRebalancing(3, chunk, 1.0);
        try (RankGroup group = Nano.start(shape(tp, ep, pp), options)) {
            List<Set<List<Integer>>> placements =
                    Stream.generate(HashSet<List<Integer>>::new).limit(pp).collect(Collectors.toList());
            requireAnswers(group, () -> {
                List<List<Integer>> stages = requireSlotsHoldWhatMapsSay(group);
                for (int stage = 0; stage < pp; stage++) {
                    placements.get(stage).add(stages.get(stage));
                }
            });
            // The first of three stages has one layer, which is dense.
            assertThat(placements.subList(pp == 3 ? 1 : 0, pp))
                    .allSatisfy(ofStage -> assertThat(ofStage).hasSizeGreaterThan(pp == 1 ? 4 : 2));
        }
    }

    @Test
    void aPlacementThatIsGoodEnoughStays() throws Exception {
        BalanceOptions options = BalanceOptions.NONE.withRebalancing(2, 0, 0.0);
        try (RankGroup group = Nano.start(ParallelShape.tensorParallel(2).withExpertParallel(2), options)) {
            List<List<Integer>> before = requireSlotsHoldWhatMapsSay(group);
            requireAnswers(group, () -> {});
            assertThat(requireSlotsHoldWhatMapsSay(group)).isEqualTo(before);
        }
    }

    /** @return of each stage with ranks here the maps of its layers, which are the same on every rank of it */
    static List<List<Integer>> requireSlotsHoldWhatMapsSay(RankGroup group) {
        int inStage = group.size() / group.stages();
        AtomicReferenceArray<List<Integer>> maps = new AtomicReferenceArray<>(group.size());
        group.runBetweenSteps(rank -> {
                    List<Integer> map = new ArrayList<>();
                    for (LayerExperts layer : experts(group, rank).layers()) {
                        requireHeld(layer, experts(group, rank).place(), inStage);
                        for (int expert : layer.location().physicalToLogical()) {
                            map.add(expert);
                        }
                    }
                    maps.set(rank, map);
                })
                .join();
        Map<Integer, List<Integer>> stages = new TreeMap<>();
        for (int rank = 0; rank < group.size(); rank++) {
            if (group.isHere(rank)) {
                stages.putIfAbsent(rank / inStage, maps.get(rank));
                assertThat(maps.get(rank)).isEqualTo(stages.get(rank / inStage));
            }
        }
        return List.copyOf(stages.values());
    }

    private static void requireHeld(LayerExperts layer, RankExperts.Place place, int ranks) {
        LayerLocation location = layer.location();
        ExpertWeights held = layer.weights();
        ExpertWeights all = experts(reference, 0).layers().stream()
                .filter(l -> l.layer() == layer.layer())
                .findFirst()
                .orElseThrow()
                .weights();
        int columns = ranks / location.ranks();
        assertThat(held.firstExpert()).isEqualTo(place.expertRank() * location.slotsOfRank());
        assertThat(held.count()).isEqualTo(location.slotsOfRank());
        for (int i = 0; i < held.count(); i++) {
            int expert = location.expertAt(held.firstExpert() + i);
            int share = all.gate().get(expert).outFeatures() / columns;
            long from = (long) place.columnRank() * share;
            String what = "layer " + layer.layer() + ", slot " + (held.firstExpert() + i) + ", expert " + expert;
            assertThat(digest(held.gate().get(i)))
                    .as(what)
                    .isEqualTo(digest(Weight.of(all.gate().get(expert).matrix().rowRange(from, share))));
            assertThat(digest(held.up().get(i)))
                    .as(what)
                    .isEqualTo(digest(Weight.of(all.up().get(expert).matrix().rowRange(from, share))));
            assertThat(digest(held.down().get(i)))
                    .as(what)
                    .isEqualTo(digest(Weight.of(all.down().get(expert).matrix().columnRange(from, share))));
        }
    }

    private static long digest(Weight weight) {
        Tensor matrix = weight.matrix();
        int bytes = matrix.dtype().bytes();
        byte[] row = new byte[matrix.columns() * bytes];
        CRC32 digest = new CRC32();
        for (int r = 0; r < matrix.rows(); r++) {
            MemorySegment.copy(
                    matrix.memory(), ValueLayout.JAVA_BYTE, r * matrix.rowStride() * bytes, row, 0, row.length);
            digest.update(row);
        }
        return digest.getValue();
    }
}
