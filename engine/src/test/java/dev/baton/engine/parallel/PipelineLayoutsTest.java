package dev.baton.engine.parallel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.forward.Golden;
import dev.baton.engine.forward.GoldenRecording;
import dev.baton.engine.schedule.SchedulerConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Pipeline stages go together with the other layouts: the answers stay those that transformers computed. */
class PipelineLayoutsTest {
    static Stream<Arguments> layouts() {
        ParallelShape two = ParallelShape.tensorParallel(2);
        return Stream.of(
                Arguments.of(two.withPipelineParallel(3), 2, Golden.LLAMA_GQA),
                Arguments.of(two.withExpertParallel(2).withPipelineParallel(2), 3, Golden.MIXTRAL),
                Arguments.of(two.withDataParallelAttention(2).withPipelineParallel(2), 2, Golden.QWEN3_MOE),
                Arguments.of(two.withDataParallelAttention(2).withPipelineParallel(3), 4, Golden.DEEPSEEK),
                Arguments.of(
                        ParallelShape.tensorParallel(4)
                                .withDataParallelAttention(2)
                                .withExpertParallel(4)
                                .withPipelineParallel(2),
                        3,
                        Golden.DEEPSEEK));
    }

    @ParameterizedTest(name = "{2}: {0}, {1} micro-batches")
    @MethodSource("layouts")
    void answersAreTheStoredOnes(ParallelShape shape, int microBatches, String model) {
        GoldenRecording golden = GoldenRecording.read(Golden.folder(model));
        List<int[]> prompts = new ArrayList<>();
        List<List<Integer>> expected = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            for (GoldenRecording.Prompt prompt : golden.prompts()) {
                prompts.add(prompt.ids());
                expected.add(Arrays.stream(prompt.greedy()).boxed().toList());
            }
        }
        LoadOptions options = Golden.options(1)
                .with()
                .shape(shape)
                .pipeline(new PipelineOptions(List.of(), microBatches, false))
                .build();
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .chunkedPrefillTokens(24)
                .microBatches(microBatches)
                .build();
        try (LayoutEngine server = new LayoutEngine(model, options, config)) {
            assertThat(server.ask(prompts.subList(0, 1), 24).getFirst().join()).isEqualTo(expected.getFirst());
            List<CompletableFuture<List<Integer>>> answers = server.ask(prompts, 24);
            assertThat(answers.stream().map(CompletableFuture::join)).isEqualTo(expected);
            server.assertNothingLeaks();
        }
    }
}
