package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.cpu.CpuKernels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The model of this repository continues its recorded prompts as transformers does, the longest of 1,986 tokens. */
class TrainedModelTest {
    @ParameterizedTest(name = "tp {0}, chunks of {1}")
    @CsvSource({"1, 4096", "2, 300"})
    void greedyContinuationsEqualTheRecordedOnes(int ranks, int chunkTokens) throws IOException {
        Path folder = Path.of(System.getProperty("baton.root", "..")).resolve("models/baton-nano");
        JsonNode recorded = new JsonMapper().readTree(Files.readAllBytes(folder.resolve("train/golden.json")));
        List<int[]> prompts = new ArrayList<>();
        List<int[]> expected = new ArrayList<>();
        int longest = 0;
        for (JsonNode prompt : recorded.path("prompts")) {
            prompts.add(ints(prompt.path("input_ids")));
            expected.add(ints(prompt.path("greedy")));
            longest = Math.max(longest, expected.getLast().length);
        }
        LoadOptions options = LoadOptions.DEFAULT
                .with()
                .tensorParallel(ranks)
                .contextTokens(2048)
                .maxRunningRequests(8)
                .maxStepTokens(4096)
                .maxTotalTokens(4096)
                .build();
        try (RankGroup group = ModelLoader.load(folder, options, Golden.cpu(CpuKernels.VECTOR, 2 / ranks))) {
            DirectRun.Options run =
                    DirectRun.Options.greedy(longest).withSlotSeed(9).withChunkTokens(chunkTokens);
            int[][] tokens = new DirectRun(group, group.maxStepTokens())
                    .generate(prompts, run)
                    .tokens();
            assertThat(prompts).hasSize(8);
            for (int p = 0; p < expected.size(); p++) {
                // Nothing ends a direct run: what follows the recorded end token is not compared.
                assertThat(tokens[p]).as("prompt %d", p).startsWith(expected.get(p));
            }
        }
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::intValue).toArray();
    }
}
