package dev.baton.trace.expert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.baton.trace.RealFiles;
import dev.baton.trace.TraceException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ExpertTest {
    /** The example in the README of deepseek-ai/EPLB. */
    private static final double[][] README = {
        {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86}, {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}
    };

    @TempDir
    Path folder;

    @Test
    void deepSeeksOwnExampleIsReproduced() {
        Placement p = Eplb.balance(README, 16, 4, 2, 8);
        assertThat(p.physicalToLogical()[0]).containsExactly(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1);
        assertThat(p.physicalToLogical()[1]).containsExactly(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1);
        assertThat(p.replicas(0, 12)).containsExactly(1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1);
        assertThat(p.gpuLoads(0, README[0])).containsExactly(121.5, 86.5, 125, 113, 147.5, 131.5, 156, 152);
        assertThat(Placement.balancedness(p.gpuLoads(0, README[0]))).isCloseTo(0.8277, within(5e-5));
        assertThat(Placement.balancedness(p.gpuLoads(1, README[1]))).isCloseTo(0.8050, within(5e-5));

        Placement global = Eplb.global(README, 16, 8);
        assertThat(global.physicalToLogical()[0]).containsExactly(10, 6, 10, 7, 0, 2, 11, 4, 5, 9, 5, 4, 8, 3, 1, 1);
        assertThat(global.physicalToLogical()[1]).containsExactly(1, 10, 2, 4, 5, 11, 5, 0, 6, 7, 6, 3, 8, 8, 9, 7);
        assertThat(Placement.balancedness(global.gpuLoads(0, README[0]))).isCloseTo(0.9323, within(5e-5));
        assertThat(Placement.balancedness(global.gpuLoads(1, README[1]))).isCloseTo(0.8401, within(5e-5));
        assertThat(Eplb.balance(README, 16, 3, 2, 8).physicalToLogical()[0])
                .containsExactly(global.physicalToLogical()[0]);
    }

    @Test
    void everyExpertHasASlotAndNoPlacementIsWorseThanTheTrivialOne() {
        Random random = new Random(5);
        for (int round = 0; round < 50; round++) {
            double[][] weight = new double[3][64];
            for (double[] layer : weight) {
                Arrays.setAll(layer, e -> Math.floor(Math.exp(4 * random.nextDouble()) * 100));
            }
            ExpertCounts counts = new ExpertCounts("random", weight, 1);
            for (int redundant : new int[] {0, 16, 32}) {
                Placement p = Eplb.balance(weight, 64 + redundant, 8, 2, 8);
                assertThat(Arrays.stream(p.replicas(1, 64)).min().orElse(0)).isPositive();
                assertThat(Arrays.stream(p.gpuLoads(1, weight[1])).sum())
                        .isCloseTo(Arrays.stream(weight[1]).sum(), within(1e-6));
                Placement global = Eplb.global(weight, 64 + redundant, 8);
                assertThat(global.balancedness(counts))
                        .isGreaterThanOrEqualTo(
                                Placement.trivial(3, 64, 64 + redundant, 8).balancedness(counts));
            }
        }
    }

    @Test
    void numbersThatDoNotDivideAreNamed() {
        assertThatThrownBy(() -> Eplb.global(README, 15, 8))
                .isInstanceOf(TraceException.class)
                .hasMessage("15 slots cannot be shared evenly by 8 GPUs");
        assertThatThrownBy(() -> Eplb.global(README, 8, 8)).hasMessage("8 slots cannot hold 12 experts");
    }

    @Test
    void torchFilesAreReadWithoutTorch() throws IOException {
        Map<?, ?> map = (Map<?, ?>) Objects.requireNonNull(TorchFile.read(resource("recorder.pt")));
        assertThat(map.get("rank")).isEqualTo(0L);
        assertThat(map.get("mixed")).isEqualTo(List.of(1.5, -3L, 1_000_000_000_000L, true, List.of("a", List.of(2L))));
        TorchFile.Tensor half = (TorchFile.Tensor) map.get("half");
        assertThat(half.values()).containsExactly(1.5, 0.25, -2.0, 4.0);
        ExpertCounts counts = ExpertFile.read(resource("recorder.pt"));
        assertThat(counts.steps()).isEqualTo(2);
        assertThat(counts.counts()[1]).containsExactly(4 + 16, 5 + 17, 6 + 18, 7 + 19);
        ExpertCounts perPass = ExpertFile.read(resource("per_pass.pt"));
        assertThat(perPass.counts()[0]).containsExactly(1 + 4 + 10, 2, 3);
        assertThat(perPass.counts()[1]).containsExactly(7, 6 + 8 + 1, 5);
    }

    @Test
    void damagedTorchFilesAreRefusedInWords() throws IOException {
        byte[] whole = Files.readAllBytes(resource("recorder.pt"));
        Random random = new Random(3);
        Path file = folder.resolve("d.pt");
        for (int round = 0; round < 400; round++) {
            byte[] bytes = whole.clone();
            for (int hits = 1 + random.nextInt(8); hits > 0; hits--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
            }
            Files.write(file, bytes);
            try {
                ExpertFile.read(file);
            } catch (TraceException e) {
                assertThat(e).hasMessageContaining("d.pt");
            }
        }
        Files.writeString(file, "no zip");
        assertThatThrownBy(() -> ExpertFile.read(file)).isInstanceOf(TraceException.class);
    }

    @Test
    void whatIsUnfitForPlanningIsNamed() {
        assertThat(new ExpertCounts("zero", new double[3][8], 1).faults(2))
                .singleElement()
                .asString()
                .startsWith("all counts are zero");
        double[][] alike = new double[1][64];
        Arrays.fill(alike[0], 0, 8, 1e6);
        assertThat(new ExpertCounts("alike", alike, 1).faults(8)).anyMatch(f -> f.contains("degenerate"));
        double[][] uneven = new double[2][8];
        Arrays.fill(uneven[0], 1000);
        Arrays.fill(uneven[1], 2000);
        ExpertCounts counts = new ExpertCounts("uneven", uneven, 1);
        assertThat(counts.faults(2)).singleElement().asString().contains("different numbers of tokens");
        double[][] doubled = {new double[8], new double[8]};
        Arrays.fill(doubled[0], 2000);
        Arrays.fill(doubled[1], 4000);
        assertThat(counts.isProportionalTo(new ExpertCounts("copy", doubled, 1)))
                .isTrue();
        doubled[1][3]++;
        assertThat(counts.isProportionalTo(new ExpertCounts("other", doubled, 1)))
                .isFalse();
    }

    @Test
    void placementsAreWrittenAsSglangReadsThem() throws IOException {
        Path file = folder.resolve("location.json");
        ExpertWriter.placement(Eplb.global(README, 16, 8), file);
        JsonNode map = JsonMapper.shared().readTree(file.toFile()).get("physical_to_logical_map");
        assertThat(map.size()).isEqualTo(2);
        assertThat(map.get(0).size()).isEqualTo(16);
        assertThat(map.get(0).get(1).asInt()).isEqualTo(6);
    }

    @Test
    void locationsAreReadFromFilesAndFromTheCommandLine() throws IOException {
        assertThat(ExpertFile.location("trivial")).isInstanceOf(InitialLocation.Trivial.class);
        Path file = folder.resolve("placement.json");
        Placement placement = Eplb.global(README, 16, 8);
        ExpertWriter.placement(placement, file);
        for (String text : List.of(file.toString(), Files.readString(file))) {
            assertThat(ExpertFile.location(text))
                    .isInstanceOfSatisfying(
                            InitialLocation.Map.class,
                            map -> assertThat(map.physicalToLogical()).isDeepEqualTo(placement.physicalToLogical()));
        }
        assertThat(ExpertFile.location("{\"logical_count\": [[[1, 2.5], [0, 4]], [[1, 0], [0, 1]]]}"))
                .isInstanceOfSatisfying(InitialLocation.Counts.class, c -> {
                    assertThat(c.counts().steps()).isEqualTo(2);
                    assertThat(c.counts().counts()).isDeepEqualTo(new double[][] {{2, 2.5}, {0, 5}});
                });
        assertThat(ExpertFile.location(resource("recorder.pt").toString())).isInstanceOf(InitialLocation.Counts.class);
        assertThatThrownBy(() -> ExpertFile.location("{\"logical_counts\": [[1]]}"))
                .hasMessageContaining("neither physical_to_logical_map nor logical_count");
        assertThatThrownBy(() -> ExpertFile.location("{\"logical_count\": [[1, 2], [3]]}"))
                .hasMessageContaining("logical_count has rows of different lengths");
        assertThatThrownBy(() -> ExpertFile.location("{\"physical_to_logical_map\": [[1, \"a\"]]}"))
                .hasMessageContaining("where a number belongs");
        assertThatThrownBy(() -> ExpertFile.location("nowhere.json")).hasMessageContaining("nowhere.json");
    }

    @Test
    void recordingsAreWrittenAsTheyAreRead() {
        Path file = folder.resolve("counts.json");
        double[][] rankLoads = {{9, 1}, {0, 0}};
        ExpertWriter.counts(file, List.of(new int[][] {{1, 2}, {0, 0}}, new int[][] {{3, 4}, {0, 0}}), rankLoads, 0.5);
        assertThat(ExpertFile.rankLoads(file)).isDeepEqualTo(rankLoads);
        assertThat(Placement.balancedness(rankLoads)).isEqualTo(5.0 / 9);
        ExpertCounts counts = ExpertFile.read(file);
        assertThat(counts.steps()).isEqualTo(2);
        assertThat(counts.counts()).isDeepEqualTo(new double[][] {{4, 6}, {0, 0}});
        assertThat(JsonMapper.shared()
                        .readTree(file.toFile())
                        .get("average_utilization_rate_over_window")
                        .asDouble())
                .isEqualTo(0.5);
        Path passes = folder.resolve("passes.json");
        ExpertWriter.passes(
                passes,
                3,
                List.of(new ExpertWriter.Pass(
                        7,
                        new int[][] {{1, 2, 4}},
                        new ExpertWriter.Tokens(new int[] {5}, new int[] {0}, new int[] {1}, "EXTEND", new int[][][] {
                            {{1, 0}}
                        }))),
                new int[][] {{1, 0, 1}});
        assertThat(ExpertFile.read(passes).counts()).isDeepEqualTo(new double[][] {{2, 5}});
        JsonNode record = JsonMapper.shared().readTree(passes.toFile()).at("/records/0");
        assertThat(record.get("rank").asInt()).isEqualTo(3);
        assertThat(record.at("/topk_ids_of_layer/0/0/0").asInt()).isEqualTo(1);
    }

    @Test
    void algorithmsAreChosenByName() {
        assertThat(EplbAlgorithm.of("auto").place(README, 16, 4, 2, 8).physicalToLogical()[0])
                .isEqualTo(Eplb.balance(README, 16, 4, 2, 8).physicalToLogical()[0]);
        assertThat(EplbAlgorithm.of("auto").place(README, 16, 0, 2, 8).physicalToLogical()[0])
                .isEqualTo(Eplb.global(README, 16, 8).physicalToLogical()[0]);
        assertThat(EplbAlgorithm.of("deepseek").place(README, 16, 4, 2, 8).physicalToLogical()[0])
                .isEqualTo(Eplb.global(README, 16, 8).physicalToLogical()[0]);
        EplbAlgorithm hierarchical = EplbAlgorithm.of("deepseek_hierarchical");
        assertThat(hierarchical.place(README, 16, 4, 2, 8).physicalToLogical()[1])
                .isEqualTo(Eplb.balance(README, 16, 4, 2, 8).physicalToLogical()[1]);
        assertThatThrownBy(() -> hierarchical.place(README, 16, 3, 2, 8))
                .hasMessage("3 groups cannot be shared evenly by 2 nodes");
        assertThatThrownBy(() -> EplbAlgorithm.of("deepseek_vec"))
                .hasMessageContaining("choose from auto, deepseek, deepseek_hierarchical");
    }

    /** What a placement gives on the recordings, layers 3 and up, beside the contiguous one's. */
    @Test
    void eplbBalancesRealRecordings() {
        for (String name : List.of("prefill_in4096", "decode_in2000out100", "decode_in1000out1000")) {
            ExpertCounts counts = ExpertFile.read(RealFiles.get("experts/" + name + ".json"));
            for (int gpus : new int[] {8, 32}) {
                Placement contiguous = Placement.trivial(61, 256, 256, gpus);
                Placement eplb = Eplb.global(counts.counts(), 288, gpus);
                System.out.printf(
                        java.util.Locale.ROOT,
                        "%s, EP %d: contiguous %.3f, EPLB with 32 redundant %.4f%n",
                        name,
                        gpus,
                        contiguous.balancedness(counts),
                        eplb.balancedness(counts));
                assertThat(eplb.balancedness(counts))
                        .isGreaterThan(0.98)
                        .isGreaterThan(contiguous.balancedness(counts) + 0.3);
            }
        }
    }

    @Test
    void goldenValuesOfRealRecordings() {
        golden("experts/prefill_in4096.json", 8.20, 13.36, 0.540, 0.384, 0.302);
        golden("experts/decode_in2000out100.json", 5.79, 10.49, 0.581, 0.434, 0.358);
        golden("experts/decode_in1000out1000.json", 5.20, 10.28, 0.535, 0.404, 0.343);
        golden("gb200/expert_distribution_recorder.pt", 5.45, 10.75, 0.709, 0.375, 0.330);
        assertThat(ExpertFile.read(RealFiles.get("experts/expert_distribution_fp8_all_zero.pt"))
                        .faults(8))
                .singleElement()
                .asString()
                .startsWith("all counts are zero");
    }

    private static void golden(String name, double median, double worst, double... balancedness) {
        ExpertCounts counts = ExpertFile.read(RealFiles.get(name));
        assertThat(counts.moeLayers()).hasSize(58).startsWith(3);
        double[] skews = Arrays.stream(counts.moeLayers())
                .mapToDouble(l -> ExpertCounts.skew(counts.counts()[l]))
                .sorted()
                .toArray();
        assertThat((skews[28] + skews[29]) / 2).isCloseTo(median, within(0.0051));
        assertThat(skews[57]).isCloseTo(worst, within(0.0051));
        int[] ways = {8, 32, 64};
        for (int i = 0; i < ways.length; i++) {
            assertThat(Placement.trivial(61, 256, 256, ways[i]).balancedness(counts))
                    .isCloseTo(balancedness[i], within(0.00051));
        }
        assertThat(counts.faults(8)).isEmpty();
    }

    private Path resource(String name) throws IOException {
        Path file = folder.resolve(name);
        if (!Files.exists(file)) {
            try (InputStream in = Objects.requireNonNull(ExpertTest.class.getResourceAsStream(name))) {
                Files.copy(in, file);
            }
        }
        return file;
    }
}
