package dev.baton.bench.forward;

import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.model.safetensors.SafetensorsWriter;
import dev.baton.model.safetensors.StoredTensor;
import dev.baton.model.safetensors.WeightSource;
import dev.baton.tensor.cpu.CpuDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Writes a model of random weights as a checkpoint that can be loaded like a real one: those that {@code --load-format dummy}
 * would serve.
 *
 * <p>{@code RandomCheckpoint SHAPE_FOLDER TARGET_FOLDER}
 */
public final class RandomCheckpoint {
    private RandomCheckpoint() {}

    public static void main(String[] arguments) throws IOException {
        Path shape = Path.of(arguments[0]);
        Path target = Files.createDirectories(Path.of(arguments[1]));
        LoadOptions small = LoadOptions.DEFAULT
                .with()
                .contextTokens(16)
                .maxRunningRequests(1)
                .maxStepTokens(16)
                .maxTotalTokens(16)
                .memoryFraction(1)
                .build();
        try (ModelLoader loader = ModelLoader.open(shape, LoadOptions.Format.DUMMY, 1);
                RankGroup group = loader.start(small, (rank, ranks) -> CpuDevice.open(1))) {
            WeightSource weights = loader.weights();
            List<StoredTensor> tensors = weights.names().stream()
                    .map(name -> Objects.requireNonNull(weights.find(name)))
                    .toList();
            SafetensorsWriter.write(target.resolve("model.safetensors"), Map.of(), tensors);
            Files.copy(shape.resolve("config.json"), target.resolve("config.json"));
            System.out.println(tensors.size() + " tensors of " + group.config().architecture() + " in " + target);
        }
    }
}
