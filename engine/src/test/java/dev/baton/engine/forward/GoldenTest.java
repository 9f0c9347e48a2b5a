package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.cpu.CpuKernels;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Logits and greedy continuations equal those that Hugging Face transformers computed. */
class GoldenTest {
    private static final double TOLERANCE = 2e-3;

    static Stream<Arguments> models() {
        return Golden.all()
                .flatMap(name -> Stream.of(CpuKernels.values())
                        .flatMap(kernels -> Stream.of(1, 2, 4)
                                // 4 ranks replicate the 2 key heads of llama-gqa.
                                .filter(ranks ->
                                        ranks < 4 || kernels == CpuKernels.VECTOR && name.equals(Golden.LLAMA_GQA))
                                .map(ranks -> Arguments.of(name, kernels, ranks))));
    }

    @ParameterizedTest(name = "{0}, {1} kernels, tp {2}")
    @MethodSource("models")
    void logitsAndGreedyTokensEqualTheStoredOnes(String name, CpuKernels kernels, int ranks) {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(name));
        try (RankGroup group = Golden.start(name, Golden.options(ranks), kernels)) {
            check(golden, group, DirectRun.Options.greedy(0).withSlotSeed(7), true);
            if (kernels == CpuKernels.SCALAR) {
                // The plain loops take minutes for what the vector kernels do in seconds.
                return;
            }
            check(golden, group, DirectRun.Options.greedy(0), false);
            for (int chunk : new int[] {1, 3, 16}) {
                check(
                        golden,
                        group,
                        DirectRun.Options.greedy(0).withSlotSeed(chunk).withChunkTokens(chunk),
                        true);
            }
        }
    }

    @ParameterizedTest(name = "absorbed only, {0}, {1} kernels, tp {2}")
    @MethodSource("latent")
    void latentAttentionGivesTheSameWhetherKeysAreExpandedOrAbsorbed(String name, CpuKernels kernels, int ranks) {
        LoadOptions absorbed = Golden.options(ranks).with().alwaysAbsorbed(true).build();
        GoldenRecording golden = GoldenRecording.read(Golden.folder(name));
        try (RankGroup group = Golden.start(name, absorbed, kernels)) {
            check(golden, group, DirectRun.Options.greedy(0).withSlotSeed(5), true);
        }
    }

    static Stream<Arguments> latent() {
        return Stream.of(Golden.DEEPSEEK, Golden.DEEPSEEK_V2, Golden.DEEPSEEK_FP8)
                .flatMap(name -> Stream.of(CpuKernels.values())
                        .flatMap(kernels -> Stream.of(1, 2).map(ranks -> Arguments.of(name, kernels, ranks))));
    }

    static void check(GoldenRecording golden, RankGroup group, DirectRun.Options options, boolean together) {
        GoldenCheck.Collector collector = new GoldenCheck.Collector();
        group.setLogitsListener(collector).join();
        GoldenComparison.Result result = GoldenCheck.compare(
                golden,
                new DirectRun(group, group.maxStepTokens()),
                collector,
                options,
                together,
                GoldenComparison.Tolerance.of(TOLERANCE));
        group.setLogitsListener(null).join();
        assertThat(result.faults()).isEmpty();
        assertThat(result.excused()).isZero();
        assertThat(result.tokens()).isEqualTo(4 * 24);
        assertThat(result.logitRows()).isEqualTo(1 + 7 + 8 + 8);
        assertThat(result.maxAbsError()).isLessThan(TOLERANCE);
    }
}
