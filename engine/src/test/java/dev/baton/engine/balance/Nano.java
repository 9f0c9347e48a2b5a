package dev.baton.engine.balance;

import dev.baton.engine.forward.Golden;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.cpu.CpuKernels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The model of this repository: 5 layers, the first dense, 32 experts, 4 of them a token. */
final class Nano {
    static final int LAYERS = 5;
    static final int EXPERTS = 32;
    static final int TOP_K = 4;

    private Nano() {}

    static Path folder() {
        return Path.of(System.getProperty("baton.root", "..")).resolve("models/baton-nano");
    }

    static RankGroup start(ParallelShape shape, BalanceOptions experts) {
        return ModelLoader.load(folder(), options(shape, experts), Golden.cpu(CpuKernels.VECTOR, 1));
    }

    static LoadOptions options(ParallelShape shape, BalanceOptions experts) {
        return LoadOptions.DEFAULT
                .with()
                .shape(shape)
                .experts(experts)
                .contextTokens(512)
                .maxRunningRequests(16)
                .maxStepTokens(512)
                .maxTotalTokens(4096)
                .build();
    }

    /** The shorter of the recorded prompts, and how transformers continues them. */
    record Recorded(List<int[]> prompts, List<int[]> answers) {
        int longestAnswer() {
            return answers.stream().mapToInt(a -> a.length).max().orElse(0);
        }
    }

    static Recorded recorded() throws IOException {
        JsonNode golden = new JsonMapper().readTree(Files.readAllBytes(folder().resolve("train/golden.json")));
        Recorded recorded = new Recorded(new ArrayList<>(), new ArrayList<>());
        for (JsonNode prompt : golden.path("prompts")) {
            if (prompt.path("input_ids").size() < 200) {
                recorded.prompts.add(ints(prompt.path("input_ids")));
                recorded.answers.add(ints(prompt.path("greedy")));
            }
        }
        return recorded;
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::intValue).toArray();
    }

    static List<int[]> randomPrompts(Random random, int count) {
        List<int[]> prompts = new ArrayList<>();
        for (int p = 0; p < count; p++) {
            prompts.add(random.ints(1 + random.nextInt(20), 3, 4000).toArray());
        }
        return prompts;
    }
}
