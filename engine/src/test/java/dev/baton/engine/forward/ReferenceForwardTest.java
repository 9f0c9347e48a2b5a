package dev.baton.engine.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.baton.engine.arch.RopePrecision;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.DType;
import dev.baton.model.config.ModelConfig;
import dev.baton.model.safetensors.Checkpoint;
import dev.baton.model.safetensors.SafetensorsFile;
import dev.baton.tensor.cpu.CpuKernels;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The plain loops agree with transformers' stored logits, and the serving path with the plain loops. */
class ReferenceForwardTest {
    @ParameterizedTest
    @MethodSource("dev.baton.engine.forward.Golden#all")
    void theReferenceGivesTheStoredLogits(String name) {
        Path folder = Golden.folder(name);
        GoldenRecording golden = GoldenRecording.read(folder);
        try (Checkpoint weights = Checkpoint.open(folder);
                SafetensorsFile stored = SafetensorsFile.open(folder.resolve("golden.safetensors"))) {
            ModelConfig config = ModelConfig.read(folder);
            ReferenceForward reference = new ReferenceForward(config, weights, golden.ropePrecision(config, weights));
            for (int p = 0; p < 3; p++) {
                int[] prompt = golden.prompts().get(p).ids();
                float[][] logits = reference.logits(prompt);
                float[] expected =
                        Objects.requireNonNull(stored.find("logits." + p)).toFloats();
                int rows = expected.length / logits[0].length;
                for (int i = 0; i < expected.length; i++) {
                    float[] row = logits[prompt.length - rows + i / logits[0].length];
                    assertThat(row[i % logits[0].length]).isCloseTo(expected[i], within(2e-4f));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("dev.baton.engine.forward.Golden#all")
    void theServingPathGivesTheReferencesLogits(String name) {
        Path folder = Golden.folder(name);
        int[] prompt = new Random(name.hashCode()).ints(40, 3, 250).toArray();
        LoadOptions options =
                Golden.options(1).with().ropePrecision(RopePrecision.F32).build();
        GoldenCheck.Collector collector = new GoldenCheck.Collector();
        try (ModelLoader loader = ModelLoader.open(folder, LoadOptions.Format.SAFETENSORS, 0);
                RankGroup group = loader.start(options, Golden.cpu(CpuKernels.VECTOR, 2))) {
            group.setLogitsListener(collector).join();
            new DirectRun(group, group.maxStepTokens())
                    .generate(
                            List.of(prompt),
                            DirectRun.Options.greedy(1)
                                    .withChunkTokens(13)
                                    .withLogprobs(b ->
                                            new dev.baton.engine.request.EngineRequest.LogprobSpec(0, 0, new int[0])));
            float[][] expected =
                    new ReferenceForward(loader.config(), loader.weights(), RopePrecision.F32).logits(prompt);
            for (int position = 0; position < prompt.length; position++) {
                float[] mine = collector.at(0, position);
                for (int i = 0; i < mine.length; i++) {
                    assertThat(mine[i]).isCloseTo(expected[position][i], within(2e-4f));
                }
            }
        }
        assertThat(ModelConfig.read(folder).dtype()).isEqualTo(DType.BF16);
    }
}
