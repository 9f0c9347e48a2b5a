package dev.baton.engine.forward;

import dev.baton.engine.parallel.DeviceSupplier;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** The stored checkpoints and how tests start them. */
public final class Golden {
    public static final String LLAMA_GQA = "llama-gqa-llama3rope";
    public static final String LLAMA_TIED = "llama-mha-tied";
    public static final String QWEN2 = "qwen2-bias-tied";
    public static final String QWEN3 = "qwen3-qknorm";
    public static final String QWEN3_MOE = "qwen3-moe";
    public static final String MIXTRAL = "mixtral";
    public static final String DEEPSEEK_V2 = "deepseek-v2-lite";
    public static final String DEEPSEEK = "deepseek-v3";
    /** Block-scaled F8 matrices of sizes that are no multiple of a block. */
    public static final String DEEPSEEK_FP8 = "deepseek-v3-fp8";

    private Golden() {}

    /** Every stored checkpoint: one an architecture, and what else differs. */
    public static Stream<String> all() {
        return Stream.of(LLAMA_GQA, LLAMA_TIED, QWEN2, QWEN3, QWEN3_MOE, MIXTRAL, DEEPSEEK_V2, DEEPSEEK, DEEPSEEK_FP8);
    }

    /** The folder of a stored checkpoint; {@code -Dbaton.golden} names another place than the test resources. */
    public static Path folder(String name) {
        String elsewhere = System.getProperty("baton.golden", System.getenv("BATON_GOLDEN"));
        Path base = elsewhere != null
                ? Path.of(elsewhere)
                : Path.of(System.getProperty("baton.root", ".."), "engine/src/test/resources/golden");
        Path folder = base.resolve(name);
        if (!Files.isDirectory(folder)) {
            throw new IllegalStateException("no golden checkpoint at " + folder);
        }
        return folder;
    }

    public static DeviceSupplier cpu(CpuKernels kernels, int threads) {
        return (rank, ranks) -> CpuDevice.open(CpuOptions.of(threads).withKernels(kernels));
    }

    /** Small tables that hold every golden prompt. */
    public static LoadOptions options(int tensorParallel) {
        return LoadOptions.DEFAULT
                .with()
                .tensorParallel(tensorParallel)
                .contextTokens(192)
                .maxRunningRequests(8)
                .maxStepTokens(256)
                .maxTotalTokens(700)
                .logitRows(8)
                .build();
    }

    /**
     * Stored prompts and what they are answered with.
     *
     * @param greedy the stored tokens of each prompt
     */
    public record Answers(List<int[]> prompts, List<List<Integer>> greedy) {}

    /** Every stored prompt of a checkpoint, one after the other, and all of them once more. */
    public static Answers answersTwice(String name) {
        GoldenRecording golden = GoldenRecording.read(folder(name));
        List<int[]> prompts = new ArrayList<>();
        List<List<Integer>> greedy = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            for (GoldenRecording.Prompt prompt : golden.prompts()) {
                prompts.add(prompt.ids());
                greedy.add(Arrays.stream(prompt.greedy()).boxed().toList());
            }
        }
        return new Answers(prompts, greedy);
    }

    public static RankGroup start(String name, LoadOptions options, CpuKernels kernels) {
        return ModelLoader.load(folder(name), options, cpu(kernels, 1));
    }
}
